package mission_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/node/clientconfig"
	"github.com/calimero-network/mero-tee/internal/node/mission"
	"github.com/calimero-network/mero-tee/internal/provider/gce/guestattr"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/inprocess"
	"github.com/calimero-network/mero-tee/internal/rehearsal/keyservice"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
	"github.com/calimero-network/mero-tee/internal/release"
)

// world is a node and the key services around it.
type world struct {
	node     mission.Node
	machine  *inprocess.Machine
	platform *tdxsim.Platform
	verifier *tdx.Verifier
	services map[string]http.Handler // by host
}

func newWorld(t *testing.T) *world {
	t.Helper()
	pki, err := tdxsim.NewPKI([]byte("mission"))
	require.NoError(t, err)
	w := &world{services: map[string]http.Handler{}}
	w.platform, err = pki.NewPlatform(1)
	require.NoError(t, err)
	w.machine, err = inprocess.Boot(w.platform, release.Debug)
	require.NoError(t, err)
	pcs := tdxsim.NewPCS(pki, time.Now, w.platform)
	client := &http.Client{Transport: route{w, pcs}}
	w.verifier, err = tdx.NewVerifier(tdx.Config{Root: pki.RootSHA256(), Collateral: tdx.NewCollateral(client)})
	require.NoError(t, err)
	w.node = mission.Node{Profile: release.Debug, TSM: w.machine.TSM(), HTTP: client, Root: pki.RootSHA256(),
		Now:      time.Now,
		EventLog: func() ([]byte, error) { return w.machine.Log.CCEL(), nil }}
	return w
}

// route leads to a service by its host, and everything else to the collateral.
type route struct {
	w   *world
	pcs http.Handler
}

func (r route) RoundTrip(q *http.Request) (*http.Response, error) {
	if err := q.Context().Err(); err != nil {
		return nil, err
	}
	h, ok := r.w.services[q.URL.Host]
	if !ok {
		h = r.pcs
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, q)
	return w.Result(), nil
}

var composeHash = [32]byte{7}

// open starts a key service at a host and returns a visit of it.
func (w *world) open(t *testing.T, host string, keys keyservice.Keys) (*keyservice.Service, agent.Visit) {
	t.Helper()
	s, err := keyservice.New(w.platform, composeHash, keys)
	require.NoError(t, err)
	w.services[host] = s
	r := s.TD.Registers()
	c, err := clientconfig.New("https://"+host,
		measurement.Profile{MRTD: r.MRTD, RTMR0: r.RTMR0, RTMR1: r.RTMR1, RTMR2: r.RTMR2,
			Image: measurement.Image{ComposeHash: composeHash}}, []string{"UpToDate"})
	require.NoError(t, err)
	return s, agent.Visit{Name: host, Config: c.TOML()}
}

func (w *world) accomplish(t *testing.T, m agent.Mission) (*agent.Report, error) {
	t.Helper()
	r, err := w.node.Accomplish(t.Context(), m)
	_, encoding := r.Encode()
	require.NoError(t, encoding)
	return r, err
}

func TestVisits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good, visitGood := w.open(t, "good", keyservice.Own)
	_, refuses := w.open(t, "refuses", keyservice.Refusing)
	_, changes := w.open(t, "changes", keyservice.Changing)
	_, shares := w.open(t, "shares", keyservice.Shared)
	_, fickle := w.open(t, "fickle", keyservice.Fickle)
	impostor, another := w.open(t, "impostor", keyservice.Own)
	require.NoError(t, impostor.TD.Extend(2, tdx.Register{9}))
	m := agent.Mission{Nonce: agent.NewNonce(), Visits: []agent.Visit{visitGood, refuses, changes, shares, fickle, another,
		{Name: "no config", Config: []byte("x")}}}

	r, err := w.accomplish(t, m)
	require.NoError(t, err, "a visit that fails is in its result")
	verdict, err := r.Verify(t.Context(), w.verifier, release.Debug, m.Nonce)
	require.NoError(t, err)
	require.Equal(t, w.machine.TD.Registers(), verdict.Registers)
	require.Len(t, r.Visits, len(m.Visits))
	for i, v := range r.Visits {
		require.Equal(t, m.Visits[i].Name, v.Name, "in the mission's order")
	}

	type outcome struct{ verified, released, same, own, refused bool }
	for name, want := range map[string]outcome{
		"good":      {true, true, true, true, false},
		"refuses":   {true, false, false, false, true},
		"changes":   {true, true, false, true, false},
		"shares":    {true, true, true, false, false},
		"fickle":    {true, true, false, false, true},
		"impostor":  {},
		"no config": {},
	} {
		v, err := r.Visit(name)
		require.NoError(t, err)
		require.Equal(t, want, outcome{v.Verified, v.KeyReleased, v.KeySame, v.KeyOwn, v.Refusal != nil}, name)
		if want.refused {
			require.Equal(t, agent.Refused{Path: "/get-key", Status: 403, Tag: wire.PolicyViolation, Details: "not you"},
				*v.Refusal)
			require.Equal(t, fault.Verification, v.ExitCode)
		}
		if v.Verified {
			_, err := v.Verify(t.Context(), w.verifier, w.services[name].(*keyservice.Service).TD.Registers())
			require.NoError(t, err)
		}
	}
	v, err := r.Visit("impostor")
	require.NoError(t, err)
	require.ErrorContains(t, v.Err(), "the key service's registers")
	require.Empty(t, impostor.Asked(), "no key is asked for")
	require.Equal(t, []string{string(r.PeerID), string(r.PeerID)}, good.Asked()[:2])
	require.NotEqual(t, string(r.PeerID), good.Asked()[2])
}

// An operator's configuration: one request, and its failure is the node's.
// A test's node that boots again has the peer ID and the key that it had.
func TestATestsNodeBootsAgain(t *testing.T) {
	t.Parallel()
	boot := func(keys keyservice.Keys, identity *[32]byte) *agent.Report {
		w := newWorld(t)
		_, visit := w.open(t, "kms", keys)
		r, err := w.accomplish(t, agent.Mission{Visits: []agent.Visit{visit}, Identity: identity})
		require.NoError(t, err)
		require.NoError(t, r.Visits[0].Err())
		return r
	}
	first, again := boot(keyservice.Own, &[32]byte{7}), boot(keyservice.Own, &[32]byte{7})
	require.Equal(t, first.PeerID, again.PeerID)
	require.Len(t, first.Visits[0].KeyDigest, 32)
	require.Equal(t, first.Visits[0].KeyDigest, again.Visits[0].KeyDigest)
	key, err := hex.DecodeString(keyservice.Key(string(first.PeerID)))
	require.NoError(t, err)
	require.NotEqual(t, key, first.Visits[0].KeyDigest)
	require.NotEqual(t, first.Visits[0].KeyDigest, boot(keyservice.Shared, &[32]byte{7}).Visits[0].KeyDigest)
	stranger := boot(keyservice.Own, nil)
	require.NotEqual(t, first.PeerID, stranger.PeerID)
	require.Empty(t, stranger.Visits[0].KeyDigest)
}

func TestTheOperatorsVisit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good, visit := w.open(t, "good", keyservice.Own)
	m := agent.Mission{Config: visit.Config}
	r, err := w.accomplish(t, m)
	require.NoError(t, err)
	require.Len(t, r.Visits, 1)
	require.Equal(t, agent.ConfigAttribute, r.Visits[0].Name)
	require.True(t, r.Visits[0].KeyReleased)
	require.Equal(t, []string{string(r.PeerID)}, good.Asked())

	_, refuses := w.open(t, "refuses", keyservice.Refusing)
	m.Config, m.Visits, w.node.Extended = refuses.Config, []agent.Visit{visit}, true
	r, err = w.accomplish(t, m)
	require.Equal(t, fault.Verification, fault.CodeOf(err))
	require.Equal(t, fault.Verification, r.ExitCode)
	require.True(t, r.Visits[0].KeyOwn && r.Visits[0].KeySame, "the other visit went well")
}

// A service that cannot decide has given no verdict: the node is not found wanting, and asks again later.
func TestAServiceThatCannotDecideHasNotRefused(t *testing.T) {
	t.Parallel()
	for status, code := range map[int]fault.Code{503: fault.General, 500: fault.General, 502: fault.General,
		403: fault.Verification, 401: fault.Verification, 400: fault.Verification} {
		w := newWorld(t)
		_, visit := w.open(t, "kms", keyservice.Own)
		proves := w.services["kms"]
		w.services["kms"] = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/get-key" {
				proves.ServeHTTP(rw, r)
				return
			}
			rw.WriteHeader(status)
			_, _ = rw.Write([]byte(`{"error":"verification_unavailable","details":"Intel does not answer"}`))
		})
		r, err := w.accomplish(t, agent.Mission{Config: visit.Config})
		require.Equal(t, code, fault.CodeOf(err), status)
		require.Equal(t, code, r.ExitCode, status)
		require.True(t, r.Visits[0].Verified)
		require.Equal(t, status, r.Visits[0].Refusal.Status)
	}
}

// No key is in a report, in whatever form.
func TestNoKeyIsReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, visit := w.open(t, "good", keyservice.Shared)
	r, err := w.accomplish(t, agent.Mission{Visits: []agent.Visit{visit}})
	require.NoError(t, err)
	require.True(t, r.Visits[0].KeyReleased)
	data, err := r.Encode()
	require.NoError(t, err)
	key, err := hex.DecodeString(keyservice.Key("everybody"))
	require.NoError(t, err)
	for _, form := range []string{string(key), hex.EncodeToString(key), base64.StdEncoding.EncodeToString(key)} {
		require.NotContains(t, string(data), form)
	}
}

func TestNodesThatCannotProveThemselves(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*world) error
		want   string
	}{
		"measured before":     {func(w *world) error { return w.machine.TD.Extend(3, tdx.Register{1}) }, "extended before"},
		"said to be measured": {func(w *world) error { w.node.Extended = true; return nil }, "RTMR3 is not the profile's"},
		"no event log": {func(w *world) error {
			w.node.EventLog = func() ([]byte, error) { return nil, errors.New("no CCEL") }
			return nil
		}, "no CCEL"},
		"nobody's root is believed": {func(w *world) error { w.node.Root = [32]byte{}; return nil }, "no trusted TDX root"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			require.NoError(t, tc.change(w))
			s, visit := w.open(t, "good", keyservice.Own)
			r, err := w.accomplish(t, agent.Mission{Visits: []agent.Visit{visit}})
			require.ErrorContains(t, err, tc.want)
			require.Contains(t, r.Error, tc.want)
			require.Empty(t, s.Asked())
			_, err = r.Verify(t.Context(), w.verifier, release.Debug, [32]byte{})
			require.ErrorContains(t, err, tc.want)
		})
	}
}

// The largest mission's report fits into guest attributes, or nobody would ever read it.
func TestTheLargestReportLeavesTheVM(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := agent.Mission{Nonce: agent.NewNonce()}
	for i := range 64 {
		_, visit := w.open(t, fmt.Sprintf("service-%d", i), keyservice.Own)
		m.Visits = append(m.Visits, visit)
	}
	r, err := w.accomplish(t, m)
	require.NoError(t, err)
	for _, v := range r.Visits {
		require.True(t, v.KeyOwn, "%s: %s", v.Name, v.Error)
	}
	r.EventLog = append(r.EventLog, noise(32<<10)...) // a real machine's log is longer
	data, err := r.Encode()
	require.NoError(t, err)
	_, err = guestattr.Encode(guestattr.ReportName, data)
	require.NoError(t, err)
}

// noise does not compress.
func noise(n int) []byte {
	out := make([]byte, n)
	_, _ = rand.Read(out)
	return out
}
