// The stub that stands for a service's image: it answers 200 on its health path, 404 on whatever else could be taken for one and outside its prefix,
// and echoes every other request as JSON. Port, health path and prefix are baked into each image.
// STUB_FAULT makes it ill, for the tests that need an ill one.
package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// faulty makes a service of a handler that is ill on purpose: "never" well, "flaps" every second, "dies" after six
// seconds, "slow" takes three seconds for everything but its health.
func faulty(fault, health string, handler http.HandlerFunc) http.HandlerFunc {
	started := time.Now()
	if fault == "dies" {
		time.AfterFunc(6*time.Second, func() { println("out of memory"); os.Exit(137) })
	}
	return func(w http.ResponseWriter, r *http.Request) {
		ill := fault == "never" || fault == "flaps" && int(time.Since(started).Seconds())%2 == 1
		if ill && r.URL.Path == health {
			println("no database at db.internal:5432")
			http.Error(w, "ill", http.StatusServiceUnavailable)
			return
		}
		if fault == "slow" && r.URL.Path != health {
			time.Sleep(3 * time.Second)
		}
		handler(w, r)
	}
}

// held is memory that a test makes a service hold, for the tests of machines that run out of it.
var held [][]byte

func hold(mib int) {
	block := make([]byte, mib<<20)
	for i := 0; i < len(block); i += 4096 {
		block[i] = 1
	}
	held = append(held, block)
}

// work is what only one instance anywhere may do: every run is written to one log for all regions.
func work(url string) {
	client := http.Client{Timeout: time.Second}
	for {
		if answer, err := client.Post(url, "text/plain", nil); err == nil {
			answer.Body.Close()
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func main() {
	name, port, health, prefix := os.Getenv("STUB_NAME"), os.Getenv("STUB_PORT"), os.Getenv("STUB_HEALTH"), os.Getenv("STUB_PREFIX")
	handler := func(w http.ResponseWriter, r *http.Request) {
		size, _ := io.Copy(io.Discard, r.Body)
		rest := strings.TrimPrefix(r.URL.Path, prefix)
		guessed := r.Method == http.MethodGet && rest != "" && !strings.Contains(rest, "/") && r.URL.Path != health
		if !strings.HasPrefix(r.URL.Path, prefix) || guessed {
			http.Error(w, name+" knows nothing under "+r.URL.Path, http.StatusNotFound)
			return
		}
		if mib, err := strconv.Atoi(r.Header.Get("Stub-Hold")); err == nil {
			hold(mib)
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]any{
			"service": name, "health": r.URL.Path == health, "method": r.Method, "path": r.URL.Path,
			"headers": r.Header, "host": r.Host, "bytes": size, "version": os.Getenv("STUB_VERSION"),
		})
	}
	if runs := os.Getenv("STUB_RUNS"); runs != "" {
		go work(runs + name)
	}
	println(name + " listens on " + port)
	server := &http.Server{Addr: ":" + port, Handler: http.HandlerFunc(faulty(os.Getenv("STUB_FAULT"), health, handler))}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-stop
		patience, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		server.Shutdown(patience)
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		panic(err)
	}
}
