package cli

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/rehearsal"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// What rehearse:up prints is enough for a program that knows nothing of it.
func TestTheWorldIsReachedByWhatIsPrinted(t *testing.T) {
	t.Parallel()
	cfg, _ := config.Inspect(func(string) (string, bool) { return "", false })
	cfg.KMSVersion, cfg.TEEVersion = release.Version{Minor: 1}, release.Version{Minor: 1}
	world, err := rehearsal.Open(t.Context(), "../..", t.TempDir(), cfg, console.New(io.Discard, false))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, world.Close()) })
	var out bytes.Buffer
	page, err := announce(&out, world)
	require.NoError(t, err)
	printed := map[string]string{}
	for line := range strings.Lines(out.String()) {
		fields := strings.Fields(line)
		require.Len(t, fields, 2, line)
		printed[fields[0]] = fields[1]
	}
	require.Regexp(t, `^http://127\.0\.0\.1:\d+`, printed["api.github.com"])
	require.Equal(t, page, printed["browser"])
	requireLooks(t, page)
	proxy, err := url.Parse(printed["HTTPS_PROXY"])
	require.NoError(t, err)
	pem, err := os.ReadFile(printed["SSL_CERT_FILE"])
	require.NoError(t, err)
	authorities := x509.NewCertPool()
	require.True(t, authorities.AppendCertsFromPEM(pem))
	stranger := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy),
		TLSClientConfig: &tls.Config{RootCAs: authorities}}}
	t.Cleanup(stranger.CloseIdleConnections)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
		"https://api.github.com/repos/calimero-network/mero-tee/releases", nil)
	require.NoError(t, err)
	req.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	resp, err := stranger.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
}

// requireLooks: the address is one that a browser shows without anything set up, and no other site's name leads there.
func requireLooks(t *testing.T, page string) {
	t.Helper()
	at, err := url.Parse(page)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1", at.Hostname())
	for host, status := range map[string]int{"": http.StatusOK, "localhost:" + at.Port(): http.StatusOK,
		"rebound.example:" + at.Port(): http.StatusMisdirectedRequest, "127.0.0.1": http.StatusMisdirectedRequest} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, page, nil)
		require.NoError(t, err)
		req.Host = host
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, status, resp.StatusCode, host)
		require.Equal(t, status == http.StatusOK, strings.Contains(string(body), "<h1>Releases</h1>"), host)
	}
}
