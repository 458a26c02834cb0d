package main

import (
	"bytes"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/attestation/tsm"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/provider/gce/guestattr"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/inprocess"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
	"github.com/calimero-network/mero-tee/internal/release"
)

// machine is a simulated node and the collateral of its platform.
type machine struct {
	*inprocess.Machine
	platform *tdxsim.Platform
	pki      *tdxsim.PKI
}

func boot(t *testing.T) *machine {
	t.Helper()
	pki, err := tdxsim.NewPKI([]byte("agent"))
	require.NoError(t, err)
	platform, err := pki.NewPlatform(1)
	require.NoError(t, err)
	m, err := inprocess.Boot(platform, release.Debug)
	require.NoError(t, err)
	return &machine{m, platform, pki}
}

// options is what the flags ask for, on the simulated node.
func (m *machine) options(t *testing.T, args ...string) *options {
	t.Helper()
	log := filepath.Join(t.TempDir(), "CCEL")
	require.NoError(t, os.WriteFile(log, m.Log.CCEL(), 0o600))
	out, err := parse(append([]string{"-profile=debug", "-event-log=" + log, "-tdx-root-sha256=" + hexRoot(m.pki)},
		args...), io.Discard)
	require.NoError(t, err)
	out.node.TSM = m.TSM()
	return out
}

func hexRoot(pki *tdxsim.PKI) string {
	root := pki.RootSHA256()
	return hex.EncodeToString(root[:])
}

func (m *machine) verifier(t *testing.T) *tdx.Verifier {
	t.Helper()
	v, err := tdx.NewVerifier(tdx.Config{Root: m.pki.RootSHA256(),
		Collateral: tdx.NewCollateral(&http.Client{Transport: local{tdxsim.NewPCS(m.pki, time.Now, m.platform)}})})
	require.NoError(t, err)
	return v
}

// local answers requests of a client in process, whatever their host.
type local struct{ http.Handler }

func (l local) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	l.ServeHTTP(w, r)
	return w.Result(), nil
}

// proves checks what the report rests on: quote, nonce, peer and event log.
func (m *machine) proves(t *testing.T, r *agent.Report, nonce string) {
	t.Helper()
	require.Equal(t, nonce, r.Nonce)
	raw, err := hex.DecodeString(nonce)
	require.NoError(t, err)
	_, err = r.Verify(t.Context(), m.verifier(t), release.Debug, [32]byte(raw))
	require.NoError(t, err)
}

func decode(t *testing.T, data []byte) *agent.Report {
	t.Helper()
	r, err := agent.DecodeReport(data)
	require.NoError(t, err, "%s", data)
	return r
}

func TestReportOnStandardOutput(t *testing.T) {
	t.Parallel()
	m, nonce := boot(t), strings.Repeat("5a", 32)
	var out bytes.Buffer
	require.NoError(t, m.options(t, "-nonce="+nonce).run(t.Context(), &out))
	m.proves(t, decode(t, out.Bytes()), nonce)

	// RTMR3 is extended once in the life of a TD: another run says so, or does not extend.
	out.Reset()
	err := m.options(t, "-nonce="+nonce).run(t.Context(), &out)
	require.ErrorContains(t, err, "extended before")
	require.Contains(t, decode(t, out.Bytes()).Error, "extended before", "a failure is reported too")
	out.Reset()
	require.NoError(t, m.options(t, "-nonce="+nonce, "-extended").run(t.Context(), &out))
	m.proves(t, decode(t, out.Bytes()), nonce)
}

// metadataServer is the one of a VM of Compute Engine.
type metadataServer struct {
	mu         sync.Mutex
	attributes map[string]string
	stored     []guestattr.Entry
}

func (s *metadataServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if key, ok := strings.CutPrefix(r.URL.Path, "/computeMetadata/v1/instance/guest-attributes/mero/"); ok &&
		r.Method == http.MethodPut {
		value, _ := io.ReadAll(r.Body)
		s.stored = append(s.stored, guestattr.Entry{Key: key, Value: string(value)})
		return
	}
	value, ok := s.attributes[strings.TrimPrefix(r.URL.Path, "/computeMetadata/v1/instance/attributes/")]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
	}
	_, _ = io.WriteString(w, value)
}

// A locked image has no way in: instructions come from metadata, the report leaves as guest attributes.
func TestReportThroughGuestAttributes(t *testing.T) {
	t.Parallel()
	m, nonce := boot(t), strings.Repeat("a5", 32)
	s := &metadataServer{attributes: map[string]string{agent.NonceAttribute: nonce}}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	var out bytes.Buffer
	o := m.options(t, "-metadata")
	o.metadataHost = h.Listener.Addr().String()
	require.NoError(t, o.run(t.Context(), &out))
	require.Empty(t, out.String())
	report, err := guestattr.Decode(guestattr.ReportName, s.stored)
	require.NoError(t, err)
	m.proves(t, decode(t, report), nonce)
}

func TestBadInstructions(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args []string
		says string
	}{
		"a short nonce":      {[]string{"-nonce=00"}, "nonce"},
		"no event log":       {[]string{"-event-log=/nonexistent"}, "nonexistent"},
		"no such config":     {[]string{"-config=/nonexistent"}, "nonexistent"},
		"a config of no kms": {[]string{"-config=main.go"}, "not a client configuration"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			require.ErrorContains(t, boot(t).options(t, tc.args...).run(t.Context(), &out), tc.says)
			require.Contains(t, decode(t, out.Bytes()).Error, tc.says)
		})
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args []string
		code fault.Code
	}{
		"no profile":      {nil, fault.Usage},
		"unknown profile": {[]string{"-profile=open"}, fault.Usage},
		"unknown flag":    {[]string{"-profile=debug", "-extend-twice"}, fault.Usage},
		"an argument":     {[]string{"-profile=debug", "more"}, fault.Usage},
		"measured twice":  {[]string{"-profile=debug", "-measure", "-extended"}, fault.Usage},
		"a short root":    {[]string{"-profile=debug", "-tdx-root-sha256=00"}, fault.Usage},
		"help":            {[]string{"-h"}, fault.Success},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, int(tc.code), run(t.Context(), tc.args, nothing, io.Discard, io.Discard))
		})
	}
}

func nothing(string) string { return "" }

// The two units of the image: one measures, the other goes on, over the simulated TD's socket.
func TestMeasureThenReport(t *testing.T) {
	t.Parallel()
	m, nonce := boot(t), strings.Repeat("5a", 32)
	socket := filepath.Join(t.TempDir(), "tsm")
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- tsm.Serve(l, m.TSM()) }()
	t.Cleanup(func() { require.NoError(t, l.Close()); require.NoError(t, <-done) })
	s := &metadataServer{attributes: map[string]string{agent.NonceAttribute: nonce}}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	getenv := func(name string) string {
		return map[string]string{"MERO_TSM_SOCKET": socket, "GCE_METADATA_HOST": h.Listener.Addr().String()}[name]
	}
	log := filepath.Join(t.TempDir(), "CCEL")
	require.NoError(t, os.WriteFile(log, m.Log.CCEL(), 0o600))
	later := []string{"-profile=debug", "-extended", "-metadata", "-event-log=" + log}

	require.Equal(t, int(fault.Verification), run(t.Context(), later, getenv, io.Discard, io.Discard),
		"nobody has measured yet")
	require.Contains(t, s.report(t).Error, "RTMR3 is not the profile's")
	require.Equal(t, int(fault.Success), run(t.Context(), []string{"-profile=debug", "-measure"}, getenv, io.Discard,
		io.Discard))
	require.Equal(t, tdx.ProfileRTMR3("debug"), m.TD.Registers().RTMR3)
	require.Equal(t, int(fault.Success), run(t.Context(), later, getenv, io.Discard, io.Discard))
	m.proves(t, s.report(t), nonce)
	require.Equal(t, int(fault.Verification),
		run(t.Context(), []string{"-profile=debug", "-measure"}, getenv, io.Discard, io.Discard), "once in the life of a TD")
}

func (s *metadataServer) report(t *testing.T) *agent.Report {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	data, err := guestattr.Decode(guestattr.ReportName, s.stored)
	require.NoError(t, err)
	return decode(t, data)
}

// Several key services, of which one refuses: the node itself did not fail.
func TestVisitsFromMetadata(t *testing.T) {
	t.Parallel()
	m, nonce := boot(t), strings.Repeat("5a", 32)
	other := m.registers()
	other.RTMR2[0] ^= 1
	attributes, err := agent.Mission{Nonce: [32]byte(bytes.Repeat([]byte{0x5a}, 32)), Visits: []agent.Visit{
		{Name: "admits", Config: m.service(t, m.registers()).TOML()},
		{Name: "refuses", Config: m.service(t, other).TOML()}}}.Attributes()
	require.NoError(t, err)
	s := &metadataServer{attributes: attributes}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	o := m.options(t, "-metadata")
	o.metadataHost = h.Listener.Addr().String()
	o.node.HTTP = &http.Client{Transport: split{local{tdxsim.NewPCS(m.pki, time.Now, m.platform)}}}
	require.NoError(t, o.run(t.Context(), io.Discard))
	r := s.report(t)
	m.proves(t, r, nonce)
	admitted, err := r.Visit("admits")
	require.NoError(t, err)
	require.True(t, admitted.KeyReleased && admitted.KeySame && admitted.KeyOwn)
	refused, err := r.Visit("refuses")
	require.NoError(t, err)
	require.Equal(t, http.StatusForbidden, refused.Refusal.Status)
}
