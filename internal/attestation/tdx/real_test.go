package tdx_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tdx-guest/abi"
	guesttesting "github.com/google/go-tdx-guest/testing"
	"github.com/google/go-tdx-guest/testing/testdata"
	"github.com/google/go-tdx-guest/verify"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
)

// shared is a file of quotes by Intel's hardware beside the repository.
func shared(t testing.TB, name string) []byte {
	t.Helper()
	return sharedFile(t, "quotes", name)
}

func sharedFile(t testing.TB, folder, name string) []byte {
	t.Helper()
	const moduleRoot = "../../.."
	b, err := os.ReadFile(filepath.Join(moduleRoot, "../shared/testdata", folder, name))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("../shared/testdata is not beside the repository")
	}
	require.NoError(t, err)
	return b
}

// guestFile is a test file of go-tdx-guest that it does not embed.
func guestFile(t testing.TB, name string) []byte {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}",
		"github.com/google/go-tdx-guest").Output()
	require.NoError(t, err)
	b, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "testing", "testdata", name))
	require.NoError(t, err)
	return b
}

// stored is collateral that was kept: address to answer.
type stored map[string]guesttesting.HTTPResponse

func (s stored) GetContext(_ context.Context, url string) (map[string][]string, []byte, error) {
	r, ok := s[url]
	if !ok {
		return nil, nil, errors.New("nothing stored for " + url)
	}
	return r.Header, r.Body, nil
}

func intelVerifier(t testing.TB, s stored, now time.Time) *tdx.Verifier {
	t.Helper()
	v, err := tdx.NewVerifier(tdx.Config{Root: intelRoot(t), Collateral: s, Now: func() time.Time { return now }})
	require.NoError(t, err)
	return v
}

// realVersion4 is go-tdx-guest's quote without the words "extra bytes (only for
// testing purpose)" that it carries at its end.
func realVersion4() []byte { return testdata.RawQuote[:636+4299] }

// The pin is the certificate that real quotes carry, version 4 and 5, and that
// go-tdx-guest trusts by default.
func TestIntelRootIsThatOfRealQuotes(t *testing.T) {
	t.Parallel()
	for _, raw := range [][]byte{realVersion4(), testdata.RawQuoteV5, guestFile(t, "ccel/cos-113-tdx-quote.dat")} {
		quote, err := abi.QuoteToProto(raw)
		require.NoError(t, err)
		chain, err := verify.ExtractChainFromQuote(quote)
		require.NoError(t, err)
		block, _ := pem.Decode(guestRoot(t))
		require.Equal(t, block.Bytes, chain.RootCertificate.Raw)
		_, err = intelVerifier(t, nil, time.Now()).Verify(t.Context(), raw, [64]byte{})
		require.ErrorIs(t, err, tdx.ErrCollateral, "past the pin, so the pin holds")
	}
}

func guestRoot(t testing.TB) []byte {
	t.Helper()
	return guestFile(t, "../../verify/trusted_root.pem")
}

func TestParseRoot(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "00", strings.ToUpper(tdx.IntelRootSHA256), tdx.IntelRootSHA256 + "00",
		"sha256:" + tdx.IntelRootSHA256} {
		_, err := tdx.ParseRoot(bad)
		require.ErrorContains(t, err, "64 lower-case hex digits")
	}
}

// go-tdx-guest's own quote and collateral, of 2023: the signatures are good,
// but its platform reaches none of the family's TCB levels.
func TestRealQuoteVersion4(t *testing.T) {
	t.Parallel()
	_, err := tdx.ParseQuote(testdata.RawQuote)
	require.ErrorContains(t, err, "zero padding")
	q, err := tdx.ParseQuote(realVersion4())
	require.NoError(t, err)
	require.Equal(t, 4, q.Version)
	_, err = intelVerifier(t, guestCollateral(), guestDay).Verify(t.Context(), realVersion4(), q.ReportData)
	var unrated *tdx.Unrated
	require.ErrorAs(t, err, &unrated)
	require.ErrorContains(t, err, "evaluation number 15, FMSPC 50806f000000) has no TCB level that this platform reaches")
}

// guestCollateral is go-tdx-guest's, valid on guestDay.
func guestCollateral() stored { return guesttesting.TestGetter.Responses }

var guestDay = time.Date(2023, 7, 1, 1, 0, 0, 0, time.UTC)

// The trap of go-tdx-guest 0.3.1: it cannot parse version 5.
func TestRealQuoteVersion5Canary(t *testing.T) {
	t.Parallel()
	q, err := tdx.ParseQuote(testdata.RawQuoteV5)
	require.NoError(t, err)
	require.Equal(t, 5, q.Version)
	require.False(t, q.Registers.MRTD.IsZero())
	require.Equal(t, byte(1), q.TEETCBSVN[1], "TDX 1.5")
	require.False(t, q.Debug())
}

func TestRealDebugQuote(t *testing.T) {
	t.Parallel()
	raw := shared(t, "12-trustee-quote4.bin")
	q, err := tdx.ParseQuote(raw)
	require.NoError(t, err)
	require.True(t, q.Debug())
	_, err = intelVerifier(t, guestCollateral(), guestDay).Verify(t.Context(), raw, q.ReportData)
	var violation *tdx.Violation
	require.ErrorAs(t, err, &violation)
	require.Equal(t, "td_attributes.debug", violation.Field)
}

func TestRealQuoteWithItsCollateral(t *testing.T) {
	t.Parallel()
	raw, collateral := shared(t, "07-phala-tdx_quote.bin"), phalaCollateral(t)
	q, err := tdx.ParseQuote(raw)
	require.NoError(t, err)
	valid := time.Date(2025, 7, 18, 10, 16, 3, 0, time.UTC)
	got, err := intelVerifier(t, collateral, valid).Verify(t.Context(), raw, q.ReportData)
	require.NoError(t, err)
	require.Equal(t, "b0c06f000000", got.FMSPC)
	require.Equal(t, []tdx.Status{tdx.UpToDate, tdx.UpToDate, tdx.UpToDate, tdx.UpToDate},
		[]tdx.Status{got.Platform, got.Module, got.QE, got.TCB})
	_, err = intelVerifier(t, collateral, valid.AddDate(0, 1, 0)).Verify(t.Context(), raw, q.ReportData)
	requireNotGenuine(t, err, "tcbInfo has expired")
	_, err = intelVerifier(t, collateral, valid.AddDate(0, -2, 0)).Verify(t.Context(), raw, q.ReportData)
	requireNotGenuine(t, err, "in the future")
}

// phalaCollateral turns the file's fields back into the service's answers.
func phalaCollateral(t testing.TB) stored {
	t.Helper()
	var f map[string]string
	require.NoError(t, json.Unmarshal(shared(t, "07-phala-tdx_quote.collateral.json"), &f))
	der := func(name string) []byte {
		b, err := hex.DecodeString(f[name])
		require.NoError(t, err)
		return b
	}
	chain := func(header, name string) map[string][]string {
		return map[string][]string{header: {url.QueryEscape(f[name])}}
	}
	const base = "https://api.trustedservices.intel.com"
	return stored{
		base + "/tdx/certification/v4/tcb?fmspc=b0c06f000000": {Header: chain("Tcb-Info-Issuer-Chain",
			"tcb_info_issuer_chain"),
			Body: []byte(`{"tcbInfo":` + f["tcb_info"] + `,"signature":"` + f["tcb_info_signature"] + `"}`)},
		base + "/tdx/certification/v4/qe/identity": {Header: chain("Sgx-Enclave-Identity-Issuer-Chain",
			"qe_identity_issuer_chain"),
			Body: []byte(`{"enclaveIdentity":` + f["qe_identity"] + `,"signature":"` + f["qe_identity_signature"] + `"}`)},
		base + "/sgx/certification/v4/pckcrl?ca=platform&encoding=der": {Header: chain("Sgx-Pck-Crl-Issuer-Chain",
			"pck_crl_issuer_chain"), Body: der("pck_crl")},
		"https://certificates.trustedservices.intel.com/IntelSGXRootCA.der": {Body: der("root_ca_crl")},
	}
}

func TestRealDstackLog(t *testing.T) {
	t.Parallel()
	var report struct {
		Quote string          `json:"quote"`
		Log   json.RawMessage `json:"event_log"`
	}
	require.NoError(t, json.Unmarshal(shared(t, "04-dstack-quote-report.json"), &report))
	raw, err := hex.DecodeString(report.Quote)
	require.NoError(t, err)
	q, err := tdx.ParseQuote(raw)
	require.NoError(t, err)
	log := []byte(report.Log)
	if bytes.HasPrefix(log, []byte(`"`)) { // the log is JSON within a JSON string
		var text string
		require.NoError(t, json.Unmarshal(log, &text))
		log = []byte(text)
	}
	events, err := tdx.ParseDstackLog(log)
	require.NoError(t, err)
	requireReplays(t, events, q.Registers, 4)
	trusted, err := tdx.RuntimeEvents(events, q.Registers.RTMR3)
	require.NoError(t, err)
	require.Equal(t, "system-preparing", trusted[0].Name)
	require.Equal(t, "key-provider", trusted[len(trusted)-1].Name)
	require.Len(t, trusted, 6)
}

// A GCP quote, padded to 8,000 bytes, and the event log of its firmware.
func TestRealCCEL(t *testing.T) {
	t.Parallel()
	raw := guestFile(t, "ccel/cos-113-tdx-quote.dat")
	require.Len(t, raw, 8000)
	q, err := tdx.ParseQuote(raw)
	require.NoError(t, err)
	events, err := tdx.ParseCCEL(guestFile(t, "ccel/ccel_data.dat"))
	require.NoError(t, err)
	require.Len(t, events, 43)
	requireReplays(t, events, q.Registers, 3)
	line, err := tdx.KernelCommandLine(events)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(line, "/syslinux/vmlinuz.A "), line)
	texts := 0
	for _, e := range events {
		if _, proven := e.Text(); proven && e.Type == tdx.BootLoaderEvent {
			texts++
		}
	}
	require.Equal(t, 15, texts, "what GRUB did and the one command line")
}

// What an independent program made of the logs of other people's hardware.
func TestRealLogsReplay(t *testing.T) {
	t.Parallel()
	var expected map[string]struct {
		Events              int
		RTMR0, RTMR1, RTMR2 tdx.Register
	}
	require.NoError(t, json.Unmarshal(sharedFile(t, "ccel", "expected.json"), &expected))
	for _, name := range []string{"CCEL_data_gcp.bin", "CCEL_data_grub.bin", "CCEL_data_grub_gke.bin"} {
		log, err := tdx.ParseCCEL(sharedFile(t, "ccel", name))
		require.NoError(t, err, name)
		require.Len(t, log, expected[name].Events, name)
		for i, want := range []tdx.Register{expected[name].RTMR0, expected[name].RTMR1, expected[name].RTMR2} {
			require.Equal(t, want, tdx.Replay(log, i), "%s, RTMR%d", name, i)
		}
	}
}

// go-eventlog's forgery of the log that belongs to the quote of TestRealCCEL: a
// separator was moved from RTMR1 to RTMR0.
func TestForgedLogIsRefused(t *testing.T) {
	t.Parallel()
	q, err := tdx.ParseQuote(guestFile(t, "ccel/cos-113-tdx-quote.dat"))
	require.NoError(t, err)
	log, err := tdx.ParseCCEL(sharedFile(t, "ccel", "cos-113-intel-tdx-dupe-separator.bin"))
	require.NoError(t, err)
	err = tdx.Explain(io.Discard, q, log)
	require.ErrorIs(t, err, tdx.ErrNoReplay)
	require.ErrorContains(t, err, "the event log does not replay to the quote: RTMR0, RTMR1")
	require.NotContains(t, err.Error(), "RTMR2")
}
