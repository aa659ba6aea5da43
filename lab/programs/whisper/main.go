// Stands for WhisperBackendAPI in the lab: it keeps the contract of WhisperBackendAPI's "Operation" and understands no speech.
// It reads config.toml in its working directory, ends when the model is not there, and answers /health and uploads.
package main

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
)

// settings are `section.key` → value of a TOML file as simple as ours.
func settings(path string) map[string]string {
	file, err := os.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	found, section := map[string]string{}, ""
	for lines := bufio.NewScanner(file); lines.Scan(); {
		line := strings.TrimSpace(strings.SplitN(lines.Text(), "#", 2)[0])
		if strings.HasPrefix(line, "[") {
			section = strings.Trim(line, "[]")
		} else if key, value, ok := strings.Cut(line, "="); ok {
			found[section+"."+strings.TrimSpace(key)] = strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return found
}

func main() {
	config := settings("config.toml")
	if _, err := os.Stat(config["whisper.model_path"]); err != nil {
		log.Fatalf("model: %v", err)
	}
	limit, err := strconv.ParseInt(config["server.max_request_size"], 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/health", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"status":"ok","cublas":%q,"log":%q}`, os.Getenv("WHISPER_CUBLAS"), os.Getenv("RUST_LOG"))
	})
	http.HandleFunc("/transcribe", func(w http.ResponseWriter, r *http.Request) {
		size, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, limit))
		if err != nil {
			http.Error(w, "too large for the service", http.StatusRequestEntityTooLarge)
			return
		}
		fmt.Fprintf(w, `{"bytes":%d}`, size)
	})
	address := config["server.host"] + ":" + config["server.port"]
	log.Printf("listens on %s", address)
	log.Fatal(http.ListenAndServe(address, nil))
}
