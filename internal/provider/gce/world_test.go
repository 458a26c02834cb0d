package gce_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/provider/gce"
	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
)

const (
	project   = "mero-test"
	zone      = "us-central1-a"
	zoned     = "/compute/v1/projects/" + project + "/zones/" + zone
	globally  = "/compute/v1/projects/" + project + "/global"
	imageLink = "https://www.googleapis.com/compute/v1/projects/" + project +
		"/global/images/mero-tee-debug-1-2-3-0a1b2c3d"
	runLabel = "mero-tee-v1-2-3-node-measure-debug"
)

// world is a project of which a test answers for the API.
type world struct {
	t       *testing.T
	net     *network.Network
	options gce.Options

	mu       sync.Mutex
	pauses   []time.Duration
	journal  []string
	requests []string // "METHOD path"
}

// newWorld serves the API, for whoever has the token.
func newWorld(t *testing.T, api http.Handler) *world {
	t.Helper()
	w := newBareWorld(t)
	w.options.Key = testKey()
	w.serve("compute.googleapis.com", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer token" {
			http.Error(rw, "no token", http.StatusUnauthorized)
			return
		}
		w.note(&w.requests, r.Method+" "+r.URL.Path)
		api.ServeHTTP(rw, r)
	}))
	return w
}

func newBareWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, net: network.New()}
	t.Cleanup(func() { require.NoError(t, w.net.Close()) })
	w.options = gce.Options{Project: project, Zone: zone, Transport: w.net.Transport(),
		Journal: func(e journal.Entry) error { w.note(&w.journal, e.String()); return nil },
		Wait:    w.pause}
	return w
}

func (w *world) serve(host string, h http.Handler) { require.NoError(w.t, w.net.Handle(host, h)) }

func (w *world) pause(ctx context.Context, d time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pauses = append(w.pauses, d)
	return ctx.Err()
}

func (w *world) note(list *[]string, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*list = append(*list, text)
}

// said is a copy of the journal or the requests.
func (w *world) said(list *[]string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(*list)
}

// client has tokens from a server that takes every key.
func (w *world) client() *gce.Client {
	w.serve("oauth2.googleapis.com", tokens(`{"access_token":"token","token_type":"Bearer","expires_in":3600}`,
		http.StatusOK))
	return w.bare()
}

func (w *world) bare() *gce.Client {
	c, err := gce.New(w.t.Context(), w.options)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { require.NoError(w.t, c.Close()) })
	return c
}

func tokens(answer string, status int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprint(w, answer)
	})
}

// testKey is a service account key that no cloud knows.
var testKey = sync.OnceValue(func() []byte {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	data, err := json.Marshal(map[string]string{"type": "service_account",
		"client_email":   "release@" + project + ".iam.gserviceaccount.com",
		"private_key_id": "1", "private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"token_uri": "https://oauth2.googleapis.com/token"})
	if err != nil {
		panic(err)
	}
	return data
})

// answer is one of the API's.
type answer struct {
	status int
	body   string
	header map[string]string
}

func (a answer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	for k, v := range a.header {
		w.Header().Set(k, v)
	}
	w.WriteHeader(a.status)
	fmt.Fprint(w, a.body)
}

// refuse is a refusal as the API writes it.
func refuse(status int, reason, message string) answer {
	body, _ := json.Marshal(map[string]any{"error": map[string]any{"code": status, "message": message,
		// plain values always marshal
		"errors": []any{map[string]string{"reason": reason, "message": message, "domain": "global"}}}})
	return answer{status: status, body: string(body)}
}

func ok(body string) answer { return answer{status: http.StatusOK, body: body} }

// inTurn gives each request the next answer; the last one stays.
func inTurn(answers ...http.Handler) http.Handler {
	var mu sync.Mutex
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		next := answers[0]
		if len(answers) > 1 {
			answers = answers[1:]
		}
		mu.Unlock()
		next.ServeHTTP(w, r)
	})
}

// cut breaks the connection instead of an answer.
var cut = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })

func between(t *testing.T, low, high, d time.Duration) {
	t.Helper()
	require.GreaterOrEqual(t, d, low)
	require.LessOrEqual(t, d, high)
}
