package e2e_test

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/kms"
	"github.com/calimero-network/mero-tee/internal/kms/compose"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/provider/dstack"
	"github.com/calimero-network/mero-tee/internal/provider/dstack/guest"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/inprocess"
	local "github.com/calimero-network/mero-tee/internal/rehearsal/ita"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
	"github.com/calimero-network/mero-tee/policies"
)

var (
	version = release.Version{Major: 1, Minor: 2}
	older   = release.Version{Major: 1, Minor: 1}
)

func nodeTag(v release.Version) release.Tag { return release.Tag{Family: release.Node, Version: v} }

// policyName is where a KMS release's policy is served, below /policies/.
func policyName(v release.Version, p release.Profile) string { return v.String() + "/" + string(p) }

// world is a release and what runs it: real key services, in this process, over simulated TDs.
type world struct {
	run      *e2e.Run
	ita      *local.Service
	older    *measurement.Published // the node release before
	machine  *tdxsim.Platform       // under the nodes
	under    *tdxsim.Platform       // under the services
	pcs      *tdxsim.PCS
	root     [32]byte
	ctx      context.Context
	policies map[string]*policies.Policy // by policyName

	mu       sync.Mutex
	deployed map[string]context.CancelFunc
	names    map[string]string // of what the provider lists
	services sync.WaitGroup

	host  *inprocess.Host
	cloud *inprocess.Cloud
	// faults
	edit        func(release.Profile, *agent.Report, error) (*agent.Report, error) // changes what a node reports
	firmware    string                                                             // of the machines under the services
	events      func([]measurement.Event) []measurement.Event                      // changes the boot chain
	keyOf       func(appID, path string) string                                    // what the guest agent derives from
	deploy      func(*dstack.Deployment, error) (*dstack.Deployment, error)        // changes the provider's answer
	deleteError error
	lists       func(context.Context) ([]string, error) // what the provider lists instead
	leftNodes   []string
	misses      atomic.Int64 // this many requests for a policy are answered 404
}

func newWorld(t *testing.T) *world {
	t.Helper()
	pki, err := tdxsim.NewPKI([]byte("e2e"))
	require.NoError(t, err)
	w := &world{root: pki.RootSHA256(), ctx: t.Context(), deployed: map[string]context.CancelFunc{},
		names:    map[string]string{},
		policies: map[string]*policies.Policy{}, firmware: "dstack firmware",
		events: func(e []measurement.Event) []measurement.Event { return e },
		edit:   func(_ release.Profile, r *agent.Report, err error) (*agent.Report, error) { return r, err },
		keyOf:  func(appID, path string) string { return appID + path },
		deploy: func(d *dstack.Deployment, err error) (*dstack.Deployment, error) { return d, err }}
	w.machine, err = pki.NewPlatform(1)
	require.NoError(t, err)
	w.under, err = pki.NewPlatform(2)
	require.NoError(t, err)
	w.pcs = tdxsim.NewPCS(pki, time.Now, w.machine, w.under)
	pcs := inProcess{w.pcs}
	verifier, err := tdx.NewVerifier(tdx.Config{Root: w.root, Collateral: tdx.NewCollateral(&http.Client{Transport: pcs})})
	require.NoError(t, err)
	w.run = &e2e.Run{ID: "run1", Profiles: []release.Profile{release.LockedReadOnly}, Provider: w, Verifier: verifier,
		HostTCB: tcb.List{AllowedTCBStatus: []string{"UpToDate"}}, HTTP: &http.Client{Timeout: time.Minute},
		Nodes: w, Inventory: w, Suites: e2e.Suites(), Wait: func(context.Context, time.Duration) error { return nil }}
	w.host = &inprocess.Host{Platform: w.machine, TDXRoot: w.root,
		HTTP: &http.Client{Transport: split{pcs}, Timeout: time.Minute}}
	w.cloud, err = inprocess.Open(t.TempDir(), w.host, gce.Faults{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.cloud.Close()) })
	w.run.Appraiser = w.appraiser(t)
	w.publish(t)
	t.Cleanup(func() {
		w.services.Wait()
		require.Empty(t, w.deployed, "every service was deleted")
	})
	return w
}

// Boot runs a node.
func (w *world) Boot(ctx context.Context, published *measurement.Published, p release.Profile,
	m agent.Mission) (*agent.Report, error) {
	r, err := w.cloud.Report(ctx, inprocess.Image{Version: published.Tag.Version, Profile: p}, m)
	return w.edit(p, r, err)
}

// split sends loopback to the network and everything else to the collateral.
type split struct{ pcs http.RoundTripper }

func (s split) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Hostname() == "127.0.0.1" {
		return http.DefaultTransport.RoundTrip(r)
	}
	return s.pcs.RoundTrip(r)
}

// publish makes the release and its counterpart, which is the second one.
func (w *world) publish(t *testing.T) {
	t.Helper()
	node := w.publishNode(t, version)
	w.older = w.publishNode(t, older)
	w.run.Release = w.publishKMS(t, version, node, w.older)
	w.run.Release.Node = node
	locked := release.LockedReadOnly
	var err error
	w.policies[staleName], err = w.policies[policyName(version, locked)].WithOtherMRTD()
	require.NoError(t, err)
	w.run.Stale = []e2e.Stale{{Profile: locked, Policy: staleTitle, AppCompose: w.naming(t, staleName), Register: "mrtd"}}
}

// naming is the locked service's app-compose file with another policy.
func (w *world) naming(t *testing.T, policy string) []byte {
	t.Helper()
	app, err := compose.Reconfigure(w.run.Release.AppCompose[release.LockedReadOnly],
		map[string]string{"MERO_KMS_POLICY_URL": "https://github.com/policies/" + policy})
	require.NoError(t, err)
	return app
}

// Names lists what is deployed, and what the test lets the provider list.
func (w *world) Names(ctx context.Context) ([]string, error) {
	if w.lists != nil {
		return w.lists(ctx)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Values(w.names)), ctx.Err()
}

// Left lists no machine: a node of this world ends with its report.
func (w *world) Left(context.Context) ([]string, error) { return w.leftNodes, nil }

func (w *world) publishNode(t *testing.T, v release.Version) *measurement.Published {
	t.Helper()
	out := &measurement.Published{Family: release.Node, Tag: nodeTag(v),
		Profiles: map[release.Profile]measurement.Profile{}}
	for _, p := range release.Profiles() {
		m, err := inprocess.Image{Version: v, Profile: p}.Boot(w.machine)
		require.NoError(t, err)
		n := m.TD.Registers()
		n.RTMR3 = tdx.ProfileRTMR3(string(p))
		out.Profiles[p] = measurement.Profile{MRTD: n.MRTD, RTMR0: n.RTMR0, RTMR1: n.RTMR1, RTMR2: n.RTMR2, RTMR3: &n.RTMR3}
	}
	return out
}

// publishKMS makes measurements, app-compose files and policies that admit the nodes.
func (w *world) publishKMS(t *testing.T, v release.Version, nodes ...*measurement.Published) e2e.Release {
	t.Helper()
	r := e2e.Release{AppCompose: map[release.Profile][]byte{}, ComposeHash: map[release.Profile]digest.Digest{},
		KMS: &measurement.Published{Family: release.KMS, Tag: release.Tag{Family: release.KMS, Version: v},
			Profiles: map[release.Profile]measurement.Profile{}}}
	td, _ := w.platform(t.Context(), nil)
	os := td.Registers()
	for _, p := range release.Profiles() {
		file, err := compose.AppCompose(p,
			fmt.Appendf(nil, `{"services":{"mero-kms":{"environment":{"MERO_KMS_POLICY_URL":"https://github.com/policies/%s",`+
				`"MERO_KMS_PROFILE":%q,"MERO_KMS_TDX_ROOT_SHA256":"%x","MERO_KMS_VERSION":%q}}}}`, policyName(v, p), p, w.root, v))
		require.NoError(t, err)
		r.AppCompose[p], r.ComposeHash[p] = file, compose.Hash(file)
		r.KMS.Profiles[p] = measurement.Profile{MRTD: os.MRTD, RTMR0: os.RTMR0, RTMR1: os.RTMR1, RTMR2: os.RTMR2,
			Image:  measurement.Image{ComposeHash: r.ComposeHash[p], OSImage: "dstack-0.5.9", OSImageHash: digest.Digest{9}},
			Events: measurement.PredictEvents(r.ComposeHash[p], digest.Digest{9})}
		w.policies[policyName(v, p)] = policyFor(t, v, p, nodes...)
	}
	return r
}

func policyFor(t *testing.T, v release.Version, p release.Profile, nodes ...*measurement.Published) *policies.Policy {
	t.Helper()
	working := &policies.Working{SchemaVersion: policies.SchemaVersion, Profile: p, AllowedTCBStatus: []string{"UpToDate"},
		Measurements: []policies.Measurement{}, Revoked: []policies.Revocation{}}
	var counterpart policies.Evidence
	for i, n := range nodes {
		ev := policies.Evidence{Tag: n.Tag, Digest: "sha256:" + strings.Repeat(fmt.Sprintf("%02x", i), 32),
			Registers: map[release.Profile]tdx.Registers{p: n.Profiles[p].Registers()}}
		var err error
		working, err = policies.Promote(working, ev)
		require.NoError(t, err)
		if i == 0 {
			counterpart = ev
		}
	}
	out, err := policies.Generate(working, v, counterpart)
	require.NoError(t, err)
	return out
}

// platform boots the machine under a key service.
func (w *world) platform(ctx context.Context, events []measurement.Event) (*tdxsim.TD, *tdxsim.EventLog) {
	td := w.under.NewTD(sha512.Sum384([]byte(w.firmware)))
	log := tdxsim.NewEventLog(td)
	for i := range 3 {
		_ = log.Measure(i, 6, []byte{byte(i)})
	}
	for _, e := range events {
		_ = log.Emit(e.Name, e.Payload)
	}
	return td, log
}

// Deploy runs the key service that the app-compose describes.
func (w *world) Deploy(ctx context.Context, app dstack.App) (*dstack.Deployment, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	hash := compose.Hash(app.Compose)
	id := sha256.Sum256([]byte(app.Name)) // a function of anything but the compose hash
	d := &dstack.Deployment{ID: "app_" + hex.EncodeToString(id[:20]), AppID: hex.EncodeToString(id[:20]),
		ComposeHash: hex.EncodeToString(hash[:])}
	service, err := w.service(app, hash, d.AppID)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d.URL = "http://" + l.Addr().String()
	serving, stop := context.WithCancel(context.WithoutCancel(w.ctx))
	w.services.Go(func() { _ = service.Serve(serving, l) })
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deployed[d.ID], w.names[d.ID] = stop, app.Name
	return w.deploy(d, nil)
}

func (w *world) service(app dstack.App, hash [32]byte, appID string) (*kms.Service, error) {
	parsed, err := compose.ParseApp(app.Compose)
	if err != nil {
		return nil, err
	}
	services, err := parsed.Services()
	if err != nil {
		return nil, err
	}
	var env []string
	for k, v := range services["mero-kms"].Environment {
		env = append(env, k+"="+v)
	}
	config, err := kms.Load(env, "/nonexistent")
	if err != nil {
		return nil, err
	}
	events := measurement.PredictEvents(hash, digest.Digest{9})
	if events[0].Payload, err = hex.DecodeString(appID); err != nil {
		return nil, err
	}
	events[2].Payload, events[4].Payload = measurement.Hex("instance"), measurement.Hex("{}")
	td, log := w.platform(w.ctx, w.events(events))
	return kms.New(config, kms.Parts{Guest: &guestAgent{w, appID, td, log}, Verifier: w.run.Verifier,
		Transport: inProcess{http.HandlerFunc(w.servePolicy)},
		Now:       time.Now, Log: slog.New(slog.DiscardHandler)}), nil
}

func (w *world) servePolicy(rw http.ResponseWriter, r *http.Request) {
	data, err := w.policies[strings.TrimPrefix(r.URL.Path, "/policies/")].Encode()
	if err != nil || w.misses.Add(-1) >= 0 {
		http.Error(rw, "no policy", http.StatusNotFound)
		return
	}
	_, _ = rw.Write(data)
}

// Delete stops a service.
func (w *world) Delete(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	stop := w.deployed[id]
	if stop == nil {
		return errors.New("no such deployment: " + id)
	}
	stop()
	delete(w.deployed, id)
	if w.deleteError == nil {
		delete(w.names, id)
	}
	return w.deleteError
}

type guestAgent struct {
	w     *world
	appID string
	td    *tdxsim.TD
	log   *tdxsim.EventLog
}

func (g *guestAgent) Quote(_ context.Context, reportData [64]byte) (*guest.Quote, error) {
	raw, err := g.td.Quote(4, reportData)
	if err != nil {
		return nil, err
	}
	log, err := g.log.Dstack()
	return &guest.Quote{Raw: raw, EventLog: log, VMConfig: "{}"}, err
}

func (g *guestAgent) Key(_ context.Context, path, _ string) ([]byte, error) {
	sum := sha256.Sum256([]byte(g.w.keyOf(g.appID, path)))
	return sum[:], nil
}

// inProcess answers requests of a client in process, whatever their host.
type inProcess struct{ http.Handler }

func (l inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	l.ServeHTTP(w, r)
	return w.Result(), nil
}

// counter gives another text each time.
func counter() func(string, string) string {
	var n atomic.Int64
	return func(string, string) string { return fmt.Sprint(n.Add(1)) }
}
