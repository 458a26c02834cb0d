package tdxsim_test

import (
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-eventlog/register"
	"github.com/google/go-eventlog/tcg"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

func newPlatform(t testing.TB, seed string, n uint8) (*tdxsim.PKI, *tdxsim.Platform) {
	t.Helper()
	pki, err := tdxsim.NewPKI([]byte(seed))
	require.NoError(t, err)
	platform, err := pki.NewPlatform(n)
	require.NoError(t, err)
	return pki, platform
}

func quoteOf(t testing.TB, seed string, n uint8, version int) []byte {
	t.Helper()
	_, platform := newPlatform(t, seed, n)
	raw, err := platform.NewTD(tdx.Register{1}).Quote(version, [64]byte{2})
	require.NoError(t, err)
	return raw
}

func TestSameSeedSameBytes(t *testing.T) {
	t.Parallel()
	require.Equal(t, quoteOf(t, "a", 0, 4), quoteOf(t, "a", 0, 4))
	require.NotEqual(t, quoteOf(t, "a", 0, 4), quoteOf(t, "b", 0, 4))
	require.NotEqual(t, quoteOf(t, "a", 0, 4), quoteOf(t, "a", 1, 4))
}

// The root of a seed is pinned in measured compose files, so it must not drift.
func TestRootIsStable(t *testing.T) {
	t.Parallel()
	pki, _ := newPlatform(t, "golden", 0)
	root := pki.RootSHA256()
	require.Equal(t, "9f683441f207ea3eae4235141062d098650975dd8cde3bbfeb4190cccf8f22ab", hex.EncodeToString(root[:]))
	require.NotEqual(t, tdx.IntelRootSHA256, hex.EncodeToString(root[:]))
}

func TestCertificatesSayWhoseTheyAre(t *testing.T) {
	t.Parallel()
	pki, platform := newPlatform(t, "names", 0)
	require.Contains(t, pki.Root().Subject.String(), "TDX SIMULATOR (not Intel)")
	require.NotContains(t, pki.Root().Subject.String(), "Intel Corporation")
	require.Contains(t, string(quoteOf(t, "names", 0, 4)), "-----BEGIN CERTIFICATE-----")
	require.Equal(t, "53494d000000", platform.FMSPC())
}

func TestTDExtends(t *testing.T) {
	t.Parallel()
	_, platform := newPlatform(t, "td", 0)
	td := platform.NewTD(tdx.Register{7})
	require.Equal(t, tdx.Registers{MRTD: tdx.Register{7}}, td.Registers())
	require.NoError(t, td.Extend(3, sha512.Sum384(tdx.ProfileEvent("debug"))))
	require.Equal(t, tdx.ProfileRTMR3("debug"), td.Registers().RTMR3)
	for _, none := range []int{-1, 4} {
		require.ErrorContains(t, td.Extend(none, tdx.Register{}), "no RTMR")
	}
	_, err := td.Quote(3, [64]byte{})
	require.ErrorContains(t, err, "quote version 3")
}

func TestDebugTD(t *testing.T) {
	t.Parallel()
	_, platform := newPlatform(t, "debug", 0)
	raw, err := platform.NewTD(tdx.Register{}, tdxsim.Debug).Quote(4, [64]byte{})
	require.NoError(t, err)
	q, err := tdx.ParseQuote(raw)
	require.NoError(t, err)
	require.True(t, q.Debug())
}

func TestMigratableTD(t *testing.T) {
	t.Parallel()
	_, platform := newPlatform(t, "migratable", 0)
	raw, err := platform.NewTD(tdx.Register{}, tdxsim.Migratable).Quote(4, [64]byte{})
	require.NoError(t, err)
	q, err := tdx.ParseQuote(raw)
	require.NoError(t, err)
	require.True(t, q.Migratable())
	require.False(t, q.Debug())
}

// The same log, read by another's parser.
func TestCCELIsReadByGoEventlog(t *testing.T) {
	t.Parallel()
	_, platform := newPlatform(t, "ccel", 0)
	td := platform.NewTD(tdx.Register{})
	log := tdxsim.NewEventLog(td)
	for rtmr := range 4 {
		require.NoError(t, log.Measure(rtmr, 4, []byte{0, 0, 0, 0}))
	}
	require.NoError(t, log.Emit("compose-hash", []byte("h")))
	require.ErrorContains(t, log.Measure(4, 4, nil), "no RTMR4")
	values := td.Registers().Values()
	bank := register.RTMRBank{}
	for i, v := range values[1:] {
		bank.RTMRs = append(bank.RTMRs, register.RTMR{Index: i, Digest: v[:]})
	}
	events, err := tcg.ParseAndReplay(log.CCEL(), bank.MRs(), tcg.ParseOpts{AllowPadding: true})
	require.NoError(t, err)
	require.Len(t, events, 5)
}

func TestPCSOverHTTP(t *testing.T) {
	t.Parallel()
	pki, platform := newPlatform(t, "pcs", 0)
	pcs := tdxsim.NewPCS(pki, time.Now, platform)
	server := httptest.NewServer(pcs)
	t.Cleanup(server.Close)
	get := func(path string) *http.Response {
		r, err := server.Client().Get(server.URL + path)
		require.NoError(t, err)
		require.NoError(t, r.Body.Close())
		return r
	}
	require.Equal(t, []string{"api.trustedservices.intel.com", "certificates.rehearsal.invalid"}, tdxsim.Hosts())
	require.Equal(t, []string{"https://" + tdxsim.Hosts()[1] + "/SimulatorRootCA.der"}, pki.Root().CRLDistributionPoints)
	for path, header := range map[string]string{
		"/tdx/certification/v4/tcb?fmspc=" + strings.ToUpper(platform.FMSPC()): "TCB-Info-Issuer-Chain",
		"/tdx/certification/v4/qe/identity":                                    "SGX-Enclave-Identity-Issuer-Chain",
		"/sgx/certification/v4/pckcrl?ca=platform&encoding=der":                "SGX-PCK-CRL-Issuer-Chain",
		"/SimulatorRootCA.der":                                                 "",
	} {
		r := get(path)
		require.Equal(t, http.StatusOK, r.StatusCode, path)
		if header != "" {
			require.NotContains(t, r.Header.Get(header), "+", "spaces are %20, as Intel writes them")
			chain, err := url.PathUnescape(r.Header.Get(header))
			require.NoError(t, err)
			require.Equal(t, 2, strings.Count(chain, "BEGIN CERTIFICATE"))
		}
	}
	for _, path := range []string{"/", "/tdx/certification/v4/tcb?fmspc=000000000000",
		"/sgx/certification/v4/pckcrl?ca=processor&encoding=der"} {
		require.Equal(t, http.StatusNotFound, get(path).StatusCode, path)
	}
	pcs.Change(func(k *tdxsim.Faults) { k.Unavailable = true })
	require.Equal(t, http.StatusServiceUnavailable, get("/SimulatorRootCA.der").StatusCode)
}

func TestPCSServesOneOfSeveralPlatforms(t *testing.T) {
	t.Parallel()
	pki, first := newPlatform(t, "two", 0)
	second, err := pki.NewPlatform(1)
	require.NoError(t, err)
	require.NotEqual(t, first.FMSPC(), second.FMSPC())
	pcs := tdxsim.NewPCS(pki, time.Now, first, second)
	for _, p := range []*tdxsim.Platform{first, second} {
		w := httptest.NewRecorder()
		pcs.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet,
			"/tdx/certification/v4/tcb?fmspc="+p.FMSPC(), nil))
		var said struct{ TCBInfo struct{ FMSPC string } }
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &said))
		require.Equal(t, strings.ToUpper(p.FMSPC()), said.TCBInfo.FMSPC, "as Intel's service writes it")
	}
}

func TestRootCRLIsTheRoots(t *testing.T) {
	t.Parallel()
	pki, platform := newPlatform(t, "crl", 0)
	pcs := tdxsim.NewPCS(pki, time.Now, platform)
	pcs.Change(func(k *tdxsim.Faults) { k.RevokePlatformCA, k.RevokeTCBSigning = true, true })
	w := httptest.NewRecorder()
	pcs.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/SimulatorRootCA.der", nil))
	crl, err := x509.ParseRevocationList(w.Body.Bytes())
	require.NoError(t, err)
	require.NoError(t, crl.CheckSignatureFrom(pki.Root()))
	require.Len(t, crl.RevokedCertificateEntries, 2)
}

func BenchmarkQuote(b *testing.B) {
	_, platform := newPlatform(b, "bench", 0)
	td := platform.NewTD(tdx.Register{})
	for b.Loop() {
		_, err := td.Quote(4, [64]byte{})
		require.NoError(b, err)
	}
}
