package network_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/hang"
	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
)

// An answer that begins before the request's body has ended comes whole.
func TestForwardAnswersWhileTheRequestIsSent(t *testing.T) {
	t.Parallel()
	const answer = "answered"
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.NoError(t, http.NewResponseController(w).EnableFullDuplex())
		_, _ = w.Write([]byte(answer))
		_ = http.NewResponseController(w).Flush()
		_, _ = io.Copy(w, r.Body)
	}))
	defer behind.Close()
	to, err := url.Parse(behind.URL)
	require.NoError(t, err)
	proxy := &httputil.ReverseProxy{Transport: &http.Transport{DisableKeepAlives: true}, FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		network.Forward(proxy, w, r)
	}))
	defer front.Close()
	defer front.CloseClientConnections() // whatever became of the request

	ctx := hang.Context(t)
	body, rest := io.Pipe()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, front.URL, body)
	require.NoError(t, err)
	req.ContentLength = int64(len("first" + "second"))
	answered := make(chan struct{})
	go func() { // one writer, so that the second part never overtakes the first
		_, _ = rest.Write([]byte("first"))
		<-answered
		_, _ = rest.Write([]byte("second"))
		_ = rest.Close()
	}()
	resp, err := front.Client().Do(req)
	require.NoError(t, err, "the answer waits for the end of the request")
	defer resp.Body.Close()
	close(answered)
	got, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, answer+"firstsecond", strings.TrimSpace(string(got)))
}
