package main

import (
	"fmt"
	"math/rand"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

var downstream = env("DOWNSTREAM", "http://127.0.0.1:9")

// Before Go 1.20, the generator makes the same ids in every run unless it is told otherwise.
func init() { rand.Seed(time.Now().UnixNano()) }

var traceparent = regexp.MustCompile(`^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$`)

// last is the trace of the request that began last, as a global that a careless library keeps its context in.
var last atomic.Value

// work is one request: its query, its inbound context, and what follows from them.
type work struct {
	id, mode, log  string
	calls, variant int
	parallel       bool
	inbound, trace string
	leaked         string
}

func newWork(query url.Values, inbound string) work {
	field := func(name, otherwise string) string {
		if query.Has(name) {
			return query.Get(name)
		}
		return otherwise
	}
	calls, _ := strconv.Atoi(field("calls", "2"))
	variant, _ := strconv.Atoi(field("var", "0"))
	trace := parse(inbound)
	if trace == "" {
		trace = traceID()
	}
	leaked, found := last.Swap(trace).(string)
	if !found {
		leaked = trace
	}
	return work{
		leaked: leaked,
		id:     field("id", "none"), mode: field("mode", "propagate"), log: field("log", "linked"),
		calls: calls, variant: variant, parallel: field("par", "0") == "1", inbound: inbound, trace: trace,
	}
}

// parse returns the trace-id of a valid version 00 traceparent, or nothing.
func parse(value string) string {
	parts := traceparent.FindStringSubmatch(value)
	if parts == nil || strings.Trim(parts[1], "0") == "" || strings.Trim(parts[2], "0") == "" {
		return ""
	}
	return parts[1]
}

func spanID() string  { return fmt.Sprintf("%016x", rand.Uint64()|1) }
func traceID() string { return spanID() + spanID() }

func (w work) url(n int) string {
	return fmt.Sprintf("%s/down?id=%s&n=%d", downstream, w.id, n)
}

// headers are the propagation headers of one call.
func (w work) headers() map[string]string {
	span := spanID()
	one := func(value string) map[string]string { return map[string]string{"traceparent": value} }
	switch w.mode {
	case "propagate":
		return one("00-" + w.trace + "-" + span + "-01")
	case "leak":
		return one("00-" + w.leaked + "-" + span + "-01")
	case "restart":
		return one("00-" + traceID() + "-" + span + "-01")
	case "forward":
		if w.inbound != "" {
			return one(w.inbound)
		}
	case "malformed":
		return one(malformed(w.trace, span, w.variant))
	case "b3":
		if w.variant%2 == 1 {
			return map[string]string{"b3": w.trace + "-" + span + "-1"}
		}
		return map[string]string{"X-B3-TraceId": w.trace, "X-B3-SpanId": span, "X-B3-Sampled": "1"}
	}
	return nil
}

// malformed is a traceparent that breaks one rule of W3C Trace Context level 1, section 3.2.
func malformed(trace, span string, variant int) string {
	kinds := []string{
		"00-" + trace[:31] + "-" + span + "-01",
		"00-" + strings.ToUpper(trace[:30]) + "AB-" + span + "-01",
		"ff-" + trace + "-" + span + "-01",
		"00-" + strings.Repeat("0", 32) + "-" + span + "-01",
		"00-" + trace + "-" + strings.Repeat("0", 16) + "-01",
		"00-" + trace[:31] + "g-" + span + "-01",
		"00-" + trace + "-" + span,
		"00-" + trace + "-" + span + "-01-extra",
	}
	return kinds[variant%len(kinds)]
}

// line is log line k of this request: JSON when k is even, text when it is odd.
func (w work) line(k int) string {
	var name, value string
	switch w.log {
	case "linked":
		name, value = "trace_id", w.trace
	case "zero":
		name, value = "trace_id", strings.Repeat("0", 32)
	case "decimal":
		low, _ := strconv.ParseUint(w.trace[16:], 16, 64)
		name, value = "dd.trace_id", strconv.FormatUint(low, 10)
	}
	if k%2 == 0 {
		field := ""
		if name != "" {
			field = fmt.Sprintf(`,"%s":"%s"`, name, value)
		}
		return fmt.Sprintf(`{"level":"info","message":"step","id":"%s","k":%d%s}`, w.id, k, field)
	}
	field := ""
	if name != "" {
		field = fmt.Sprintf(" %s=%s", name, value)
	}
	return fmt.Sprintf("INFO step id=%s k=%d%s", w.id, k, field)
}
