package kms_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/kms"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/provider/dstack/guest"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

// world is one key service with all that it needs around it, on loopback.
type world struct {
	platform   *tdxsim.Platform
	pcs        *tdxsim.PCS
	verifier   *tdx.Verifier
	collateral *tdx.Collateral
	guest      *guestAgent
	service    *kms.Service
	url        string
	logs       *lines
	version    int          // of the nodes' quotes
	ahead      atomic.Int64 // nanoseconds by which the service's clock is ahead
}

// local answers requests of a client in process, whatever their host.
type local struct{ http.Handler }

func (l local) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	l.ServeHTTP(w, r)
	return w.Result(), nil
}

// lines keeps the log, unless quiet.
type lines struct {
	quiet bool
	mu    sync.Mutex
	buf   bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.quiet {
		return len(b), nil
	}
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// newWorld runs a service of 1.2.0, profile debug, under the policy that change was given to change.
func newWorld(t testing.TB, change func(*policies.Policy), env ...string) *world {
	t.Helper()
	w := idle(t, change, env...)
	require.NoError(t, w.service.LoadPolicy(t.Context()))
	return w
}

// idle is newWorld before the policy was fetched.
func idle(t testing.TB, change func(*policies.Policy), env ...string) *world {
	t.Helper()
	pki, err := tdxsim.NewPKI([]byte("kms"))
	require.NoError(t, err)
	w := &world{logs: &lines{}, version: 4}
	w.platform, err = pki.NewPlatform(1)
	require.NoError(t, err)
	w.pcs = tdxsim.NewPCS(pki, time.Now, w.platform)
	w.collateral = tdx.NewCollateral(&http.Client{Transport: local{w.pcs}})
	w.verifier, err = tdx.NewVerifier(tdx.Config{Root: pki.RootSHA256(), Collateral: w.collateral})
	require.NoError(t, err)
	w.guest = newGuestAgent(t, w.platform)

	policy := policyFor(nodeRegisters("1.0.0", release.Debug))
	if change != nil {
		change(policy)
	}
	root := pki.RootSHA256()
	config, err := kms.Load(append([]string{"MERO_KMS_VERSION=" + policy.KMSVersion.String(), "MERO_KMS_PROFILE=debug",
		"MERO_KMS_POLICY_URL=file://" + writePolicy(t, policy), "MERO_KMS_TDX_ROOT_SHA256=" + hex.EncodeToString(root[:])},
		env...), "/nonexistent")
	require.NoError(t, err)
	client := guest.New(w.guest.socket)
	t.Cleanup(client.Close)
	w.service = kms.New(config, kms.Parts{Guest: client, Verifier: w.verifier, Transport: local{http.NotFoundHandler()},
		CollateralAge: w.collateral.Age,
		Now:           func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) },
		Log:           slog.New(slog.NewJSONHandler(w.logs, nil))})
	server := httptest.NewServer(w.service.Handler())
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

func writePolicy(t testing.TB, p *policies.Policy) string {
	t.Helper()
	data, err := json.Marshal(p)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "policy.json")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	return path
}

// nodeEvents are what the image of one node release measures into RTMR0 to RTMR2.
func nodeEvents(version string) [3]tdx.Register {
	var out [3]tdx.Register
	for i, what := range []string{"shape", "boot path " + version, "kernel " + version} {
		out[i] = sha512.Sum384([]byte(what))
	}
	return out
}

func nodeMRTD(version string) tdx.Register { return sha512.Sum384([]byte("firmware of " + version)) }

func nodeRegisters(version string, profile release.Profile) tdx.Registers {
	e := nodeEvents(version)
	return tdx.Registers{MRTD: nodeMRTD(version), RTMR0: tdx.Register{}.Extend(e[0]), RTMR1: tdx.Register{}.Extend(e[1]),
		RTMR2: tdx.Register{}.Extend(e[2]), RTMR3: tdx.ProfileRTMR3(string(profile))}
}

// policyFor admits the tuples, of releases 1.0.0, 1.1.0 and so on.
func policyFor(tuples ...tdx.Registers) *policies.Policy {
	p := &policies.Policy{SchemaVersion: policies.SchemaVersion, KMSVersion: release.Version{Major: 1, Minor: 2},
		Profile:          release.Debug,
		AllowedTCBStatus: []string{"UpToDate"}}
	for i, r := range tuples {
		p.Measurements = append(p.Measurements, policies.Measurement{Registers: r,
			NodeRelease: release.Tag{Family: release.Node, Version: release.Version{Major: 1, Minor: i}},
			Evidence:    "sha256:" + hex.EncodeToString(make([]byte, 32))})
		for j, list := range []*[]tdx.Register{&p.AllowedMRTD, &p.AllowedRTMR0, &p.AllowedRTMR1, &p.AllowedRTMR2,
			&p.AllowedRTMR3} {
			if v := r.Values()[j]; !slices.Contains(*list, v) {
				*list = append(*list, v)
			}
		}
	}
	return p
}

// node boots a TD of the given release and profile and returns its agent.
func (w *world) node(t testing.TB, version string, profile release.Profile, options ...tdxsim.TDOption) *agent.Agent {
	t.Helper()
	td := w.platform.NewTD(nodeMRTD(version), options...)
	for i, e := range nodeEvents(version) {
		require.NoError(t, td.Extend(i, e))
	}
	return agentOver(t, td, profile, w.version)
}

func agentOver(t testing.TB, td *tdxsim.TD, profile release.Profile, quoteVersion int) *agent.Agent {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	a := &agent.Agent{TSM: tdxsim.TSM(td, quoteVersion), HTTP: http.DefaultClient, Profile: profile, Key: key}
	require.NoError(t, a.ExtendProfile())
	return a
}

var composeHash = sha256.Sum256([]byte("app-compose"))

// guestAgent is the dstack guest agent's protocol over a simulated TD.
type guestAgent struct {
	socket string
	server *httptest.Server
	td     *tdxsim.TD
	log    *tdxsim.EventLog
	noKey  atomic.Bool
	noTDX  atomic.Bool
	hold   chan struct{} // when set, GetQuote says "held" and waits for a second value
}

func newGuestAgent(t testing.TB, platform *tdxsim.Platform) *guestAgent {
	t.Helper()
	g := &guestAgent{td: platform.NewTD(sha512.Sum384([]byte("dstack firmware")))}
	g.log = tdxsim.NewEventLog(g.td)
	for rtmr := range 3 {
		require.NoError(t, g.log.Measure(rtmr, 6, []byte{byte(rtmr)}))
	}
	require.NoError(t, g.log.Start(tdxsim.System{AppID: composeHash[:20], ComposeHash: composeHash[:],
		InstanceID: make([]byte, 20), OSImageHash: make([]byte, 32), KeyProvider: []byte("{}")}))
	dir, err := os.MkdirTemp("", "kms") // t.TempDir may exceed the 108 bytes of a socket's path
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	g.socket = filepath.Join(dir, "dstack.sock")
	t.Cleanup(g.listen(t).Close)
	return g
}

// listen serves the agent on its socket; closing the server removes the socket.
func (g *guestAgent) listen(t testing.TB) *httptest.Server {
	t.Helper()
	l, err := net.Listen("unix", g.socket)
	require.NoError(t, err)
	g.server = &httptest.Server{Listener: l, Config: &http.Server{Handler: g}}
	g.server.Start()
	return g.server
}

func (g *guestAgent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var args map[string]string
	if r.Method != http.MethodPost || json.NewDecoder(r.Body).Decode(&args) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var answer any
	switch {
	case r.URL.Path == "/GetQuote" && !g.noTDX.Load():
		answer = g.quote(args["report_data"])
	case r.URL.Path == "/GetKey" && !g.noKey.Load():
		answer = map[string]any{"key": keyOf(args["path"]), "signature_chain": []string{}}
	default:
		w.WriteHeader(http.StatusInternalServerError)
		answer = map[string]string{"error": "refused"}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (g *guestAgent) quote(reportData string) map[string]string {
	if g.hold != nil {
		g.hold <- struct{}{}
		<-g.hold
	}
	var data [64]byte
	_, _ = hex.Decode(data[:], []byte(reportData))
	raw, _ := g.td.Quote(4, data)
	log, _ := g.log.Dstack()
	return map[string]string{"quote": hex.EncodeToString(raw), "event_log": string(log), "report_data": reportData,
		"vm_config": "{}"}
}

// transportOf is the transport key of the world's service, as a node learns it by verifying.
func transportOf(*world) wire.PublicKey {
	derived, _ := hex.DecodeString(keyOf(wire.TransportKeyPath))
	key, _ := wire.NewTransportKey(derived) // 32 bytes
	return key.Public()
}

// keyOf is what this agent derives for a path.
func keyOf(path string) string {
	sum := sha256.Sum256([]byte("seed/" + path))
	return hex.EncodeToString(sum[:])
}
