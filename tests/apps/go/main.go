// A service on Go's net/http, both sides: goroutines share threads.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

// handsOver says that workers make the calls, also those in sequence.
var handsOver = env("WORKERS", "0") == "1"

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:"+env("PORT", "0"))
	if err != nil {
		log.Fatal(err)
	}
	// Calls wait for one another's connections when there are more of them.
	pool, _ := strconv.Atoi(env("POOL_SIZE", "64"))
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: pool, MaxConnsPerHost: pool}}
	start := func(step func()) { go step() }
	if handsOver {
		queue, _ := strconv.Atoi(env("QUEUE", "0"))
		start = workers(env("THREADS", "16"), make(chan func(), queue))
	}
	printLine(fmt.Sprintf("ready %d", listener.Addr().(*net.TCPAddr).Port))
	go background(client)
	http.HandleFunc("/work", func(w http.ResponseWriter, r *http.Request) { serve(client, start, w, r) })
	log.Fatal(http.Serve(listener, nil))
}

// workers starts goroutines that take steps from a channel, and returns what puts a step there.
func workers(count string, steps chan func()) func(func()) {
	n, _ := strconv.Atoi(count)
	for ; n > 0; n-- {
		go func() {
			for step := range steps {
				step()
			}
		}()
	}
	return func(step func()) { steps <- step }
}

// serve makes the calls in its own goroutine, or, in parallel, each in one that start gives it.
// With workers, every call is made by one of them.
func serve(client *http.Client, start func(func()), w http.ResponseWriter, r *http.Request) {
	job := newWork(r.URL.Query(), r.Header.Get("traceparent"))
	printLine(job.line(0))
	done := make(chan error, job.calls)
	step := func(n int) {
		err := call(client, job.url(n), job.headers())
		if err == nil && n <= 2 {
			printLine(job.line(n))
		}
		done <- err
	}
	var failed error
	wait := func() {
		if err := <-done; err != nil {
			failed = err
		}
	}
	for n := 1; n <= job.calls; n++ {
		n := n
		switch {
		case job.parallel:
			start(func() { step(n) })
		case handsOver:
			start(func() { step(n) })
			wait()
		default:
			step(n)
			wait()
		}
	}
	for n := 1; job.parallel && n <= job.calls; n++ {
		wait()
	}
	if failed != nil {
		http.Error(w, failed.Error(), http.StatusBadGateway)
		return
	}
	for k := smaller(job.calls, 2) + 1; k < 4; k++ {
		printLine(job.line(k))
	}
	io.WriteString(w, "done\n")
}

func call(client *http.Client, url string, headers map[string]string) error {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

func background(client *http.Client) {
	pause, _ := strconv.Atoi(env("BG_MS", "50"))
	for n := 1; pause > 0; n++ {
		time.Sleep(time.Duration(pause) * time.Millisecond)
		if call(client, fmt.Sprintf("%s/bg?n=%d", downstream, n), nil) != nil {
			return
		}
		printLine(fmt.Sprintf(`{"level":"info","message":"tick","bg":%d}`, n))
	}
}

func smaller(a, b int) int {
	if a < b {
		return a
	}
	return b
}

// printLine writes one line with one system call.
func printLine(line string) {
	os.Stdout.WriteString(line + "\n")
}

func env(name, otherwise string) string {
	if value, ok := os.LookupEnv(name); ok {
		return value
	}
	return otherwise
}
