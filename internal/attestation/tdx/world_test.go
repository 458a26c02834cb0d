package tdx_test

import (
	"crypto/sha512"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

// served answers every host by one handler, in process.
type served struct{ handler http.Handler }

func (s served) RoundTrip(r *http.Request) (*http.Response, error) {
	answered := make(chan *http.Response, 1)
	go func() {
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		answered <- w.Result()
	}()
	select {
	case <-r.Context().Done():
		return nil, r.Context().Err()
	case response := <-answered:
		return response, nil
	}
}

// world is one simulated platform with a booted TD and a verifier that pins its root.
type world struct {
	pki        *tdxsim.PKI
	platform   *tdxsim.Platform
	pcs        *tdxsim.PCS
	td         *tdxsim.TD
	reportData [64]byte
}

func newWorld(t testing.TB, options ...tdxsim.Option) *world {
	t.Helper()
	pki, err := tdxsim.NewPKI([]byte("internal/attestation/tdx tests"))
	require.NoError(t, err)
	platform, err := pki.NewPlatform(0, options...)
	require.NoError(t, err)
	w := &world{pki: pki, platform: platform, pcs: tdxsim.NewPCS(pki, time.Now, platform)}
	w.td = w.boot(t)
	w.reportData = sha512.Sum512([]byte("nonce and binding"))
	return w
}

func (w *world) boot(t testing.TB, options ...tdxsim.TDOption) *tdxsim.TD {
	t.Helper()
	td := w.platform.NewTD(sha512.Sum384([]byte("firmware")), options...)
	for rtmr, measured := range []string{"configuration", "boot path", "kernel", "profile"} {
		require.NoError(t, td.Extend(rtmr, sha512.Sum384([]byte(measured))))
	}
	return td
}

func (w *world) quote(t testing.TB, version int) []byte {
	t.Helper()
	raw, err := w.td.Quote(version, w.reportData)
	require.NoError(t, err)
	return raw
}

func (w *world) collateral() *tdx.Collateral {
	return tdx.NewCollateral(&http.Client{Transport: served{w.pcs}})
}

func (w *world) verifier(t testing.TB) *tdx.Verifier {
	t.Helper()
	v, err := tdx.NewVerifier(tdx.Config{Root: w.pki.RootSHA256(), Collateral: w.collateral()})
	require.NoError(t, err)
	return v
}

func intelRoot(t testing.TB) [32]byte {
	t.Helper()
	root, err := tdx.ParseRoot(tdx.IntelRootSHA256)
	require.NoError(t, err)
	return root
}

func requireNotGenuine(t testing.TB, err error, words string) {
	t.Helper()
	var no *tdx.NotGenuine
	require.ErrorAs(t, err, &no)
	require.ErrorContains(t, err, words)
}

func isUnavailable(err error) bool { return errors.Is(err, tdx.ErrCollateral) }
