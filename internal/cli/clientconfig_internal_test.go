package cli

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/node/clientconfig"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
	"github.com/calimero-network/mero-tee/internal/release/config"
	"github.com/calimero-network/mero-tee/internal/verify/migration"
)

// running is a deployed key service and the collateral of its platform, as the operator reaches them.
type running struct {
	pcs    http.Handler
	td     *tdxsim.TD
	log    *tdxsim.EventLog
	root   [32]byte // of the platform's certificates
	health any      // what it says at /health; nil: nothing
}

func (s running) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Result(), nil
}

func (s running) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/health" {
		_ = json.NewEncoder(w).Encode(s.health)
		return
	}
	var q wire.AttestRequest
	if r.URL.Path != "/attest" || json.NewDecoder(r.Body).Decode(&q) != nil {
		s.pcs.ServeHTTP(w, r)
		return
	}
	nonce, _ := base64.StdEncoding.DecodeString(q.NonceB64)
	binding, transport := wire.DefaultBinding(), ""
	if q.TransportKey {
		key := wire.NewSealingKey().Public()
		binding, transport = wire.AttestBinding(binding, key), base64.StdEncoding.EncodeToString(key[:])
	}
	raw, _ := s.td.Quote(4, wire.AttestReportData([32]byte(nonce), binding))
	log, _ := s.log.Dstack()
	_ = json.NewEncoder(w).Encode(wire.AttestResponse{QuoteB64: base64.StdEncoding.EncodeToString(raw), EventLog: log,
		TransportPublicKeyB64: transport, VMConfig: "{}"})
}

// runs is a service of an app-compose file with this hash, the operator who reaches it, and its release's measurements.
func runs(t *testing.T, hash [32]byte) (*running, *operator, measurement.Profile) {
	t.Helper()
	pki, err := tdxsim.NewPKI([]byte("pin"))
	require.NoError(t, err)
	platform, err := pki.NewPlatform(1)
	require.NoError(t, err)
	s := &running{pcs: tdxsim.NewPCS(pki, time.Now, platform), td: platform.NewTD(sha512.Sum384([]byte("firmware")))}
	s.log = tdxsim.NewEventLog(s.td)
	for i := range 3 {
		require.NoError(t, s.log.Measure(i, 6, []byte{byte(i)}))
	}
	for _, e := range measurement.PredictEvents(hash, digest.Digest{1}) {
		require.NoError(t, s.log.Emit(e.Name, e.Payload))
	}
	r := s.td.Registers()
	o := &operator{console: console.New(&bytes.Buffer{}, false),
		env: &environment.Environment{Settings: environment.Settings{Config: &config.Config{Repository: "o/r"}, Transport: s,
			TDXRoot: pki.RootSHA256()}}}
	return s, o, measurement.Profile{MRTD: r.MRTD, RTMR0: r.RTMR0, RTMR1: r.RTMR1, RTMR2: r.RTMR2,
		Image: measurement.Image{ComposeHash: hash}}
}

func TestPinTakesTheRTMR3OfAVerifiedService(t *testing.T) {
	t.Parallel()
	hash := sha256.Sum256([]byte("app-compose"))
	s, o, published := runs(t, hash)
	config := func(hash [32]byte) *clientconfig.Config {
		published.Image.ComposeHash = hash
		c, err := clientconfig.New("https://kms.example", published, []string{"UpToDate"})
		require.NoError(t, err)
		return c
	}
	r := s.td.Registers()
	kms := migration.Release{HostTCB: tcb.List{AllowedTCBStatus: []string{"UpToDate"}}}

	c := config(hash)
	require.NoError(t, o.pin(t.Context(), c, kms, true))
	require.Equal(t, []tdx.Register{r.RTMR3}, c.Attestation.AllowedRTMR3)
	c = config(hash)
	require.NoError(t, o.pin(t.Context(), c, kms, false))
	require.Empty(t, c.Attestation.AllowedRTMR3)
	c = config([32]byte{1})
	require.ErrorContains(t, o.pin(t.Context(), c, kms, true), "compose hash", "a service of another release pins nothing")
	require.Empty(t, c.Attestation.AllowedRTMR3)
}

// A client is told of the waivers that hold, and accepts nothing by one that has ended.
func TestWaiversOfAClientsConfiguration(t *testing.T) {
	t.Parallel()
	host := tcb.List{AllowedTCBStatus: []string{"UpToDate"}, TCBWaivers: []tcb.Waiver{
		{Status: "OutOfDate", FMSPC: "b0c06f000000", Reason: "December", Until: "2026-12-31"},
		{Status: "OutOfDateConfigurationNeeded", Reason: "over", Until: "2026-11-25"}}}
	today := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	require.Equal(t, []string{
		"TCB waiver of the key service's host: OutOfDate of FMSPC b0c06f000000 until 2026-12-31: December",
	}, waived(host, today))
	require.Equal(t, []string{"UpToDate", "OutOfDate"}, host.Today(today))
	require.Empty(t, waived(host, today.AddDate(1, 0, 0)))
}

func TestClientConfigRefusesBadInputFirst(t *testing.T) {
	t.Parallel()
	for _, r := range []ClientRequest{
		{Profile: "open", Tag: "mero-kms-v1.2.0"}, {Profile: "debug", Tag: "mero-tee-v1.2.0"},
		{Profile: "debug", Tag: "1.2.0"},
		{Profile: "debug", Tag: "mero-kms-v1.2.0", Format: "yaml"},
	} {
		var out bytes.Buffer
		require.Error(t, ClientConfig(t.Context(), &out, r))
		require.Empty(t, out.String())
	}
}
