package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/fault"
	"github.com/calimero-network/mero-tee/internal/guestattr"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/rehearsal/node"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/tdx"
)

// machine is a simulated node and the collateral of its platform.
type machine struct {
	*node.Machine
	platform *tdxsim.Platform
	pki      *tdxsim.PKI
}

func boot(t *testing.T) *machine {
	t.Helper()
	pki, err := tdxsim.NewPKI([]byte("agent"))
	require.NoError(t, err)
	platform, err := pki.NewPlatform(1)
	require.NoError(t, err)
	m, err := node.Boot(platform, release.Debug)
	require.NoError(t, err)
	return &machine{m, platform, pki}
}

// mission is what the flags ask for, on the simulated node.
func (m *machine) mission(t *testing.T, args ...string) *mission {
	t.Helper()
	log := filepath.Join(t.TempDir(), "CCEL")
	require.NoError(t, os.WriteFile(log, m.Log.CCEL(), 0o600))
	out, err := parse(append([]string{"-profile=debug", "-event-log=" + log, "-tdx-root-sha256=" + hexRoot(m.pki)}, args...), io.Discard)
	require.NoError(t, err)
	out.tsm = m.TSM()
	return out
}

func hexRoot(pki *tdxsim.PKI) string {
	root := pki.RootSHA256()
	return hex.EncodeToString(root[:])
}

func (m *machine) verifier(t *testing.T) *tdx.Verifier {
	t.Helper()
	v, err := tdx.NewVerifier(tdx.Config{Root: m.pki.RootSHA256(), Collateral: tdx.NewCollateral(&http.Client{Transport: local{tdxsim.NewPCS(m.pki, time.Now, m.platform)}})})
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
func (m *machine) proves(t *testing.T, r Report, nonce string) {
	t.Helper()
	require.Equal(t, nonce, r.Nonce)
	raw, err := hex.DecodeString(nonce)
	require.NoError(t, err)
	verdict, err := m.verifier(t).Verify(t.Context(), r.Quote, wire.NodeReportData([32]byte(raw), r.PeerID))
	require.NoError(t, err)
	require.Equal(t, tdx.ProfileRTMR3("debug"), verdict.Registers.RTMR3)
	_, err = tdx.ParseCCEL(r.EventLog)
	require.NoError(t, err)
}

func decode(t *testing.T, data []byte) (r Report) {
	t.Helper()
	require.NoError(t, json.Unmarshal(data, &r), "%s", data)
	return r
}

func TestReportOnStandardOutput(t *testing.T) {
	t.Parallel()
	m, nonce := boot(t), strings.Repeat("5a", 32)
	var out bytes.Buffer
	require.NoError(t, m.mission(t, "-nonce="+nonce).accomplish(t.Context(), &out))
	m.proves(t, decode(t, out.Bytes()), nonce)

	// RTMR3 is extended once in the life of a TD: another run says so, or does not extend.
	out.Reset()
	err := m.mission(t, "-nonce="+nonce).accomplish(t.Context(), &out)
	require.ErrorContains(t, err, "extended before")
	require.Contains(t, decode(t, out.Bytes()).Error, "extended before", "a failure is reported too")
	out.Reset()
	require.NoError(t, m.mission(t, "-nonce="+nonce, "-extended").accomplish(t.Context(), &out))
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
	if key, ok := strings.CutPrefix(r.URL.Path, "/computeMetadata/v1/instance/guest-attributes/mero/"); ok && r.Method == http.MethodPut {
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
	s := &metadataServer{attributes: map[string]string{nonceAttribute: nonce}}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	var out bytes.Buffer
	require.NoError(t, m.mission(t, "-metadata", "-metadata-server="+h.URL).accomplish(t.Context(), &out))
	require.Empty(t, out.String())
	report, err := guestattr.Decode(reportName, s.stored)
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
			require.ErrorContains(t, boot(t).mission(t, tc.args...).accomplish(t.Context(), &out), tc.says)
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
		"a short root":    {[]string{"-profile=debug", "-tdx-root-sha256=00"}, fault.Usage},
		"help":            {[]string{"-h"}, fault.Success},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, int(tc.code), run(context.Background(), tc.args, io.Discard, io.Discard))
		})
	}
}
