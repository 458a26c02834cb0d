package companion

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"

	"github.com/calimero-network/mero-tee/internal/node/agent"
)

// run serves until ctx ends.
func (m merod) run(ctx context.Context, args []string) error {
	given, err := runFlags.alone(args)
	if err != nil {
		return err
	}
	if _, mock := given["--mock-tee"]; mock {
		return errors.New("--mock-tee: this merod binary was built without mock-attestation support")
	}
	s, err := m.load()
	if err != nil {
		return err
	}
	if mode := given["--auth-mode"]; mode != "" && mode != "proxy" {
		return refuse("--auth-mode %s: not known to this stand-in", mode)
	}
	for _, name := range []string{"MERO_KMS_RELEASE_TAG", "MERO_KMS_VERSION", "MERO_TEE_VERSION"} {
		if m.Getenv(name) != "" {
			return errors.New(name + ": Failed to fetch policy from release: this stand-in fetches nothing")
		}
	}
	if s.TEE != nil {
		return errors.New("TEE storage encryption is configured but failed to fetch key from KMS: this stand-in asks none")
	}
	data := filepath.Join(m.folder, s.Datastore.Path)
	if err := writable(data); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, len(s.Server.Listen))
	for _, address := range s.Server.Listen {
		at, err := dialled(address)
		if err != nil {
			return err
		}
		go func() { ended <- m.serve(ctx, at, routes(data)) }()
	}
	for range s.Server.Listen {
		err = errors.Join(err, <-ended)
		cancel() // one that ends ends all
	}
	return err
}

// writable is how merod looks at its datastore before it starts.
func writable(dir string) error {
	f, err := os.CreateTemp(dir, ".write-test-")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// routes are those of merod's admin API that the image's rules are about. The
// last one gives orders: it is there so that a rule which lets it through is seen.
func routes(data string) http.Handler {
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, status int, body string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
	mux.HandleFunc("GET /admin-api/health", func(w http.ResponseWriter, _ *http.Request) {
		if _, err := os.Stat(data); err != nil {
			answer(w, http.StatusServiceUnavailable, `{"data":{"status":"store_unavailable"}}`)
			return
		}
		answer(w, http.StatusOK, `{"data":{"status":"`+agent.Alive+`"}}`)
	})
	for _, route := range []string{"GET /admin-api/tee/info", "POST /admin-api/tee/attest"} {
		mux.HandleFunc(route, func(w http.ResponseWriter, _ *http.Request) {
			answer(w, http.StatusInternalServerError, `{"error":"a stand-in has no TD"}`)
		})
	}
	mux.HandleFunc("POST /admin-api/tee/fleet-join", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, `{"data":{"status":"joined"}}`)
	})
	return mux
}
