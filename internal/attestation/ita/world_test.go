package ita_test

import (
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/ita"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	local "github.com/calimero-network/mero-tee/internal/rehearsal/ita"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

const key = "djE6MTIzNDU2Nzg5"

// authority is made once: RSA keys take their time.
var authority = sync.OnceValues(local.NewAuthority)

// world is one TD, our verdict of its quote, and the service.
type world struct {
	service  *local.Service
	root     [32]byte
	pki      *tdxsim.PKI
	platform *tdxsim.Platform
	pcs      *tdxsim.PCS
	verifier *tdx.Verifier
	quote    []byte
	ours     *tdx.Verdict
}

func newWorld(t testing.TB, version int) *world {
	t.Helper()
	pki, err := tdxsim.NewPKI([]byte("ita"))
	require.NoError(t, err)
	w := &world{pki: pki}
	w.platform, err = pki.NewPlatform(0)
	require.NoError(t, err)
	w.pcs = tdxsim.NewPCS(pki, time.Now, w.platform)
	w.forget(t)
	a, err := authority()
	require.NoError(t, err)
	w.root = a.RootSHA256()
	w.service = local.New(local.Options{Authority: a, APIKey: key, Verifier: w.verifier, Now: time.Now})
	w.quote, w.ours = w.attest(t, tdx.Register{1}, version)
	return w
}

// attest boots a TD and verifies its quote over a fresh nonce.
func (w *world) attest(t testing.TB, mrtd tdx.Register, version int) ([]byte, *tdx.Verdict) {
	t.Helper()
	td := w.platform.NewTD(mrtd)
	for i := range 4 {
		require.NoError(t, td.Extend(i, tdx.Register{byte(i + 1)}))
	}
	var reportData [64]byte
	_, _ = rand.Read(reportData[:])
	quote, err := td.Quote(version, reportData)
	require.NoError(t, err)
	verdict, err := w.verifier.Verify(t.Context(), quote, reportData)
	require.NoError(t, err)
	return quote, verdict
}

// forget takes a verifier that remembers no collateral.
func (w *world) forget(t testing.TB) {
	t.Helper()
	var err error
	w.verifier, err = tdx.NewVerifier(tdx.Config{Root: w.pki.RootSHA256(),
		Collateral: tdx.NewCollateral(&http.Client{Transport: handler{w.pcs}})})
	require.NoError(t, err)
}

// client asks the service through whatever wrap makes of the transport.
func (w *world) client(t testing.TB, change ...func(*ita.Config)) *ita.Client {
	t.Helper()
	c := ita.Config{URL: ita.APIURL, Key: key, Root: w.root, Transport: handler{w.service}, Verifier: w.verifier}
	for _, f := range change {
		f(&c)
	}
	client, err := ita.New(c)
	require.NoError(t, err)
	return client
}

// handler answers a client's requests in process, whatever their host.
type handler struct{ http.Handler }

func (h handler) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	in := r.Clone(r.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	in.Host, in.RequestURI = r.URL.Host, r.URL.RequestURI()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, in)
	return w.Result(), nil
}

// around is a transport that looks at requests, and answers them itself if it wants to.
type around struct {
	next http.RoundTripper
	look func(*http.Request) *http.Response
}

func (a around) RoundTrip(r *http.Request) (*http.Response, error) {
	if response := a.look(r); response != nil {
		return response, nil
	}
	return a.next.RoundTrip(r)
}
