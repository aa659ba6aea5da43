// The stub that stands for a service's image: it answers 200 on its health path, 404 on whatever else could be taken for one and outside its prefix,
// and echoes every other request as JSON. Port, health path and prefix are baked into each image.
package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

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
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]any{
			"service": name, "health": r.URL.Path == health, "method": r.Method, "path": r.URL.Path,
			"headers": r.Header, "host": r.Host, "bytes": size,
		})
	}
	server := &http.Server{Addr: ":" + port, Handler: http.HandlerFunc(handler)}
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
