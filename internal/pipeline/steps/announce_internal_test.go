package steps

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/retry"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// atOnce is the usual policy without its pauses.
func atOnce() retry.Policy {
	p := retry.Usual()
	p.Wait = func(context.Context, time.Duration) error { return nil }
	return p
}

// The body arrives whole, and any success is one.
func TestTell(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusOK, http.StatusAccepted, http.StatusNoContent} {
		var got string
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			got = r.Method + " " + r.Header.Get("Content-Type") + " " + string(body)
			w.WriteHeader(status)
		}))
		require.NoError(t, tell(t.Context(), atOnce(), server.Client(), config.Secret(server.URL), []byte(`{"tag":"x"}`)))
		require.Equal(t, `POST application/json {"tag":"x"}`, got)
		server.Close()
	}
}

// Whoever has the address may post there, so no error has it; and nobody is followed elsewhere.
func TestTellKeepsTheAddress(t *testing.T) {
	t.Parallel()
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	err := tell(t.Context(), atOnce(), server.Client(), config.Secret(server.URL+"/hush"), nil)
	require.ErrorContains(t, err, "307")
	require.NotContains(t, err.Error(), "hush")
	require.Equal(t, 1, asked)
	for _, address := range []string{"https://\x7f/hush", "unknown://hush"} {
		err := tell(t.Context(), atOnce(), http.DefaultClient, config.Secret(address), nil)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "hush", "%v", err)
	}
}
