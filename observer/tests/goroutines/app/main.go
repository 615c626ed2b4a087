// A service that says of everything it writes which goroutine wrote it, and on whose behalf.
//
// It waits for a line on standard input, serves and asks itself, and ends.
package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
)

const (
	clients  = 8
	requests = 6
	fanOut   = 3
)

func main() {
	fmt.Println("ready")
	bufio.NewReader(os.Stdin).ReadString('\n')
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	address := "http://" + listener.Addr().String()
	pool := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}}
	http.HandleFunc("/outer", func(w http.ResponseWriter, r *http.Request) { outer(pool, address, w, r) })
	http.HandleFunc("/inner", inner)
	go http.Serve(listener, nil)

	self := goid()
	var done sync.WaitGroup
	for n := 0; n < clients; n++ {
		done.Add(1)
		go func() {
			defer done.Done()
			say(self)
			for n := 0; n < requests; n++ {
				ask(pool, address+"/outer")
			}
		}()
	}
	done.Wait()
	say(0)
}

// outer answers once goroutines of its own, and goroutines of these, have asked.
func outer(pool *http.Client, address string, w http.ResponseWriter, r *http.Request) {
	self := goid()
	var done sync.WaitGroup
	for n := 0; n < fanOut; n++ {
		done.Add(1)
		go func() {
			// This goroutine makes no system call of its own.
			between := goid()
			go func() {
				defer done.Done()
				say(between)
				tell(self, between)
				ask(pool, address+"/inner")
			}()
		}()
	}
	done.Wait()
	w.Header().Set("X-Writer", strconv.FormatUint(self, 10))
	io.WriteString(w, "outer\n")
}

func inner(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Writer", strconv.FormatUint(goid(), 10))
	io.WriteString(w, "inner\n")
}

func ask(pool *http.Client, url string) {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	check(err)
	request.Header.Set("X-Asker", strconv.FormatUint(goid(), 10))
	response, err := pool.Do(request)
	check(err)
	_, err = io.Copy(io.Discard, response.Body)
	check(err)
	check(response.Body.Close())
}

// say writes one line: who writes it, and who began that goroutine (0: not told).
func say(parent uint64) {
	os.Stdout.WriteString(fmt.Sprintf("writer=%d parent=%d\n", goid(), parent))
}

// tell writes one line about a goroutine and the one that began it.
func tell(parent, child uint64) {
	os.Stdout.WriteString(fmt.Sprintf("writer=%d branch=%d/%d\n", goid(), parent, child))
}

// goid is the running goroutine's id, as its stack trace says.
func goid() uint64 {
	text := make([]byte, 64)
	text = text[:runtime.Stack(text, false)]
	id, err := strconv.ParseUint(strings.Fields(string(text))[1], 10, 64)
	check(err)
	return id
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
