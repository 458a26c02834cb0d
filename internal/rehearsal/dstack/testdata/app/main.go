// Command app is what the tests run as a released application: it shows what
// it sees of its platform.
package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/calimero-network/mero-tee/internal/provider/dstack/guest"
)

func main() {
	if len(os.Args) > 1 {
		log.Fatalf("asked to fail: %v", os.Args[1:])
	}
	if os.Getenv("LISTEN_FDS") != "1" {
		log.Fatal("no listener")
	}
	l, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		log.Fatal(err)
	}
	agent := guest.New(os.Getenv("DSTACK_SOCKET_PATH"))
	mux := http.NewServeMux()
	mux.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "alive") })
	mux.HandleFunc("/self", self)
	mux.HandleFunc("/fetch", fetch)
	mux.HandleFunc("/quote", func(w http.ResponseWriter, r *http.Request) {
		q, err := agent.Quote(r.Context(), [64]byte{1, 2, 3})
		answer(w, q, err)
	})
	mux.HandleFunc("/key", func(w http.ResponseWriter, r *http.Request) {
		k, err := agent.Key(r.Context(), r.URL.Query().Get("path"), "test")
		answer(w, hex.EncodeToString(k), err)
	})
	mux.HandleFunc("/info", func(w http.ResponseWriter, r *http.Request) {
		i, err := agent.Info(r.Context())
		answer(w, i, err)
	})
	mux.HandleFunc("/emit", func(w http.ResponseWriter, r *http.Request) {
		answer(w, "emitted", emit(r.Context()))
	})
	mux.HandleFunc("/crash", func(http.ResponseWriter, *http.Request) { log.Fatal("asked to crash") })
	log.Print("serving")
	log.Fatal(http.Serve(l, mux)) //nolint:gosec // a test's program
}

func answer(w http.ResponseWriter, v any, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(w).Encode(v)
}

// self is who and where the process is.
func self(w http.ResponseWriter, _ *http.Request) {
	names, err := fs.Glob(os.DirFS("/"), "*")
	dir, _ := os.Getwd()
	answer(w, map[string]any{"uid": os.Getuid(), "gid": os.Getgid(), "dir": dir, "env": os.Environ(), "root": names,
		"pid": os.Getpid()}, err)
}

func fetch(w http.ResponseWriter, r *http.Request) {
	resp, err := http.Get(r.URL.Query().Get("url"))
	if err != nil {
		answer(w, nil, err)
		return
	}
	defer resp.Body.Close()
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}

// emit measures an event of the application's own, which guest has no use for.
func emit(ctx context.Context) error {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", os.Getenv("DSTACK_SOCKET_PATH"))
	}
	body, w := io.Pipe()
	go func() { _, _ = fmt.Fprint(w, `{"event":"calimero.kms.profile","payload":"6465627567"}`); _ = w.Close() }()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://dstack/EmitEvent", body)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("agent answered %s", resp.Status)
	}
	return resp.Body.Close()
}
