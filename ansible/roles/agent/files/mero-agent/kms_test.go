package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/hang"
	"github.com/calimero-network/mero-tee/internal/kms"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/node/clientconfig"
	"github.com/calimero-network/mero-tee/internal/provider/dstack/guest"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

var composeHash = sha256.Sum256([]byte("app-compose"))

// dstackGuest is the guest agent under the key service.
type dstackGuest struct {
	td  *tdxsim.TD
	log *tdxsim.EventLog
}

func (g dstackGuest) Quote(_ context.Context, reportData [64]byte) (*guest.Quote, error) {
	raw, err := g.td.Quote(4, reportData)
	if err != nil {
		return nil, err
	}
	log, err := g.log.Dstack()
	return &guest.Quote{Raw: raw, EventLog: log, VMConfig: "{}"}, err
}

func (dstackGuest) Key(_ context.Context, path, _ string) ([]byte, error) {
	sum := sha256.Sum256([]byte(path))
	return sum[:], nil
}

// service runs a real key service that admits nodes with these registers, and
// returns the client configuration of its release.
func (m *machine) service(t *testing.T, admitted tdx.Registers) *clientconfig.Config {
	t.Helper()
	g := dstackGuest{td: m.platform.NewTD(sha512.Sum384([]byte("dstack")))}
	g.log = tdxsim.NewEventLog(g.td)
	for i := range 3 {
		require.NoError(t, g.log.Measure(i, 6, []byte{byte(i)}))
	}
	events := measurement.PredictEvents(composeHash, composeHash)
	events[2].Payload, events[3].Payload = measurement.Hex("instance"), measurement.Hex("{}")
	for _, e := range events {
		require.NoError(t, g.log.Emit(e.Name, e.Payload))
	}
	config, err := kms.Load([]string{"MERO_KMS_VERSION=1.2.0", "MERO_KMS_PROFILE=debug",
		"MERO_KMS_POLICY_URL=file://" + policyFile(t, admitted),
		"MERO_KMS_TDX_ROOT_SHA256=" + hexRoot(m.pki)}, "/nonexistent")
	require.NoError(t, err)
	s := kms.New(config, kms.Parts{Guest: g, Verifier: m.verifier(t), Transport: http.DefaultTransport, Now: time.Now,
		Log: slog.New(slog.DiscardHandler)})
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() { stop(); require.NoError(t, <-done) })
	url := "http://" + l.Addr().String()
	require.Eventually(t, func() bool { return ready(url) }, hang.Limit(t), 5*time.Millisecond)
	r := g.td.Registers()
	out, err := clientconfig.New(url, measurement.Profile{MRTD: r.MRTD, RTMR0: r.RTMR0, RTMR1: r.RTMR1, RTMR2: r.RTMR2,
		Image: measurement.Image{ComposeHash: composeHash}}, []string{"UpToDate"})
	require.NoError(t, err)
	return out
}

func ready(url string) bool {
	var h wire.Health
	resp, err := http.Get(url + "/health")
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(&h) == nil && h.PolicyReady
}

func policyFile(t *testing.T, r tdx.Registers) string {
	t.Helper()
	node := release.Tag{Family: release.Node, Version: release.Version{Major: 1, Minor: 2}}
	p := policies.Policy{SchemaVersion: policies.SchemaVersion, KMSVersion: node.Version, Profile: release.Debug,
		AllowedMRTD: []tdx.Register{r.MRTD}, AllowedRTMR0: []tdx.Register{r.RTMR0}, AllowedRTMR1: []tdx.Register{r.RTMR1},
		AllowedRTMR2: []tdx.Register{r.RTMR2}, AllowedRTMR3: []tdx.Register{r.RTMR3}, AllowedTCBStatus: []string{"UpToDate"},
		Measurements: []policies.Measurement{{NodeRelease: node, Evidence: "sha256:" + strings.Repeat("00", 32),
			Registers: r}}}
	data, err := p.Encode()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "policy.json")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	return path
}

// askWith runs a mission with the client configuration and returns its report.
func (m *machine) askWith(t *testing.T, config []byte) (*agent.Report, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "merod.toml")
	require.NoError(t, os.WriteFile(path, config, 0o600))
	o := m.options(t, "-config="+path)
	pcs := local{tdxsim.NewPCS(m.pki, time.Now, m.platform)}
	o.node.HTTP = &http.Client{Transport: split{pcs}}
	var out bytes.Buffer
	err := o.run(t.Context(), &out)
	return decode(t, out.Bytes()), err
}

// split sends loopback to the network and everything else to the collateral.
type split struct{ pcs http.RoundTripper }

func (s split) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Hostname() == "127.0.0.1" {
		return http.DefaultTransport.RoundTrip(r)
	}
	return s.pcs.RoundTrip(r)
}

// registers are what the node shows once its profile is measured.
func (m *machine) registers() tdx.Registers {
	r := m.TD.Registers()
	r.RTMR3 = tdx.ProfileRTMR3("debug")
	return r
}

func TestKeyRelease(t *testing.T) {
	t.Parallel()
	m := boot(t)
	r, err := m.askWith(t, m.service(t, m.registers()).TOML())
	require.NoError(t, err)
	require.Len(t, r.Visits, 1)
	v := r.Visits[0]
	require.Equal(t, agent.ConfigAttribute, v.Name)
	require.True(t, v.Verified)
	require.True(t, v.KeyReleased)
	require.Equal(t, "UpToDate", v.TCB)
	m.proves(t, r, r.Nonce)
}

func TestARefusalIsReported(t *testing.T) {
	t.Parallel()
	m := boot(t)
	other := m.registers()
	other.RTMR1[0] ^= 1
	config, err := m.service(t, other).JSON()
	require.NoError(t, err)
	r, err := m.askWith(t, config)
	require.Equal(t, fault.Verification, fault.CodeOf(err))
	require.Equal(t, wire.PolicyViolation, r.Visits[0].Refusal.Tag)
	require.Equal(t, http.StatusForbidden, r.Visits[0].Refusal.Status)
	require.False(t, r.Visits[0].KeyReleased)
	require.Equal(t, fault.Verification, r.ExitCode)
}

// A service of another release is not asked for anything but its proof.
func TestAnotherServiceIsNotAsked(t *testing.T) {
	t.Parallel()
	m := boot(t)
	config := m.service(t, m.registers())
	config.Attestation.AllowedComposeHashes = []string{strings.Repeat("ab", 32)}
	r, err := m.askWith(t, config.TOML())
	require.ErrorContains(t, err, "compose hash")
	require.False(t, r.Visits[0].Verified)
	require.Nil(t, r.Visits[0].Refusal, "no key was asked for")
}
