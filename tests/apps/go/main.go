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

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:"+env("PORT", "0"))
	if err != nil {
		log.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	printLine(fmt.Sprintf("ready %d", listener.Addr().(*net.TCPAddr).Port))
	go background(client)
	http.HandleFunc("GET /work", func(w http.ResponseWriter, r *http.Request) { serve(client, w, r) })
	log.Fatal(http.Serve(listener, nil))
}

func serve(client *http.Client, w http.ResponseWriter, r *http.Request) {
	job := newWork(r.URL.Query(), r.Header.Get("traceparent"))
	printLine(job.line(0))
	for n := 1; n <= job.calls; n++ {
		if err := call(client, job.url(n), job.headers()); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		if n <= 2 {
			printLine(job.line(n))
		}
	}
	for k := min(job.calls, 2) + 1; k < 4; k++ {
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
