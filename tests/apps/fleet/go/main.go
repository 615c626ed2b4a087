// A service of the fleet, at its edge: Go's net/http, both sides. It does everything right, and hands on the
// request id that it was given.
package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
)

var traceparent = regexp.MustCompile(`^00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$`)

func main() {
	listener, err := net.Listen("tcp", os.Getenv("LISTEN"))
	if err != nil {
		log.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	peers := strings.Fields(os.Getenv("PEERS"))
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { serve(client, peers, w, r) })
	os.Stdout.WriteString("ready\n")
	log.Fatal(http.Serve(listener, nil))
}

func serve(client *http.Client, peers []string, w http.ResponseWriter, r *http.Request) {
	trace := id(16)
	if found := traceparent.FindStringSubmatch(r.Header.Get("traceparent")); found != nil {
		trace = found[1]
	}
	for _, peer := range peers {
		name, url, _ := strings.Cut(peer, "=")
		if err := call(client, url+"/"+name, trace, r.Header.Get("X-Request-Id")); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		say(map[string]string{"message": "called", "to": name, "sent": "propagated", "trace_id": trace})
	}
	say(map[string]string{"message": "served", "trace_id": trace})
	io.WriteString(w, "done\n")
}

func call(client *http.Client, url, trace, requestID string) error {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Header.Set("traceparent", "00-"+trace+"-"+id(8)+"-01")
	request.Header.Set("X-Request-Id", requestID)
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

// say writes one line with one system call.
func say(line map[string]string) {
	line["level"], line["log"] = "info", "linked"
	text, _ := json.Marshal(line)
	os.Stdout.Write(append(text, '\n'))
}

func id(bytes int) string {
	random := make([]byte, bytes)
	rand.Read(random)
	random[0] |= 1
	return hex.EncodeToString(random)
}
