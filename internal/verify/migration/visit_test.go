package migration_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/compose"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/provider/dstack"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/inprocess"
	"github.com/calimero-network/mero-tee/internal/rehearsal/keyservice"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/migration"
)

// world runs one application: the old release, and after an update in its place
// the new one. Both are services that prove themselves.
type world struct {
	migration.Runner
	migration migration.Migration
	old, new  *keyservice.Service
	url       string
	updated   atomic.Bool
	lag       atomic.Int32 // requests that the old one answers behind the update
	cloud     *inprocess.Cloud
	edit      func(*agent.Report) // changes what nodes report
	booted    []release.Tag
	peers     []wire.PeerID
	living    []string
}

// ServeHTTP is the application, whichever release it runs.
func (w *world) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	if w.updated.Load() && w.lag.Add(-1) < 0 {
		w.new.ServeHTTP(out, r)
		return
	}
	w.old.ServeHTTP(out, r)
}

func newWorld(t *testing.T, from, to keyservice.Keys) *world {
	t.Helper()
	pki, err := tdxsim.NewPKI([]byte("migrate"))
	require.NoError(t, err)
	platform, err := pki.NewPlatform(1)
	require.NoError(t, err)
	client := &http.Client{Transport: split{tdxsim.NewPCS(pki, time.Now, platform)}}
	w := &world{migration: example(t), edit: func(*agent.Report) {}}
	w.cloud, err = inprocess.Open(t.TempDir(),
		&inprocess.Host{Platform: platform, HTTP: client, TDXRoot: pki.RootSHA256()}, gce.Faults{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.cloud.Close()) })
	v, err := tdx.NewVerifier(tdx.Config{Root: pki.RootSHA256(), Collateral: tdx.NewCollateral(client)})
	require.NoError(t, err)
	w.Runner = migration.Runner{ID: "run1", Provider: w, Nodes: w, Verifier: v, HTTP: client, Patience: 10 * time.Second}
	w.migration.From.AppCompose = []byte("the old one")
	w.old, w.new = w.service(t, platform, &w.migration.From, from), w.service(t, platform, &w.migration.To, to)
	h := httptest.NewServer(w)
	t.Cleanup(h.Close)
	w.url = h.URL
	return w
}

func (w *world) service(t *testing.T, p *tdxsim.Platform, r *migration.Release,
	keys keyservice.Keys) *keyservice.Service {
	t.Helper()
	s, err := keyservice.New(p, compose.Hash(r.AppCompose), keys)
	require.NoError(t, err)
	n := s.TD.Registers()
	r.Published = measurement.Profile{MRTD: n.MRTD, RTMR0: n.RTMR0, RTMR1: n.RTMR1, RTMR2: n.RTMR2}
	r.HostTCB = tcb.List{AllowedTCBStatus: []string{"UpToDate"}}
	return s
}

// split sends loopback to the network and everything else to the collateral.
type split struct{ pcs http.Handler }

func (s split) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Hostname() == "127.0.0.1" {
		return http.DefaultTransport.RoundTrip(r)
	}
	w := httptest.NewRecorder()
	s.pcs.ServeHTTP(w, r)
	return w.Result(), nil
}

func (w *world) Left(context.Context) ([]string, error) { return nil, nil }

func (w *world) deployment() *dstack.Deployment {
	return &dstack.Deployment{ID: "app_a1", AppID: "a1", URL: w.url}
}

func (w *world) Deploy(_ context.Context, app dstack.App) (*dstack.Deployment, error) {
	w.living = append(w.living, app.Name)
	return w.deployment(), nil
}

func (w *world) Update(_ context.Context, appID string, app dstack.App) (*dstack.Deployment, error) {
	ours := appID == "a1" && slices.Equal(w.living, []string{app.Name})
	if !ours || !bytes.Equal(app.Compose, w.migration.To.AppCompose) {
		return nil, errors.New("this is not the application that was deployed")
	}
	w.updated.Store(true)
	return w.deployment(), nil
}

func (w *world) Delete(_ context.Context, id string) error {
	w.living = nil
	if id != "app_a1" {
		return errors.New("this is not ours: " + id)
	}
	return nil
}

func (w *world) Boot(ctx context.Context, published *measurement.Published, p release.Profile,
	m agent.Mission) (*agent.Report, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		return nil, errors.New("this could wait for ever")
	}
	w.booted = append(w.booted, published.Tag)
	r, err := w.cloud.Report(ctx, inprocess.Image{Version: published.Tag.Version, Profile: p}, m)
	if err == nil {
		w.peers = append(w.peers, r.PeerID)
		w.edit(r)
	}
	return r, err
}

func TestAMigrationThatWorks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, keyservice.Own, keyservice.Own)
	w.lag.Store(2) // the old one is there a while longer
	results := w.Restart(t.Context(), w.migration, node("1.2.0"), node("1.3.0"))
	require.NoError(t, results.Strict().Err())
	require.Equal(t, 0, results.Count(check.Inapplicable))
	var names []string
	for _, r := range results {
		names = append(names, r.Name)
	}
	require.Equal(t, []string{serving, lasting, restarted, renewing, "step 5: " + w.url + " attests as mero-kms-v1.3.0",
		key, clean}, names)
	require.Equal(t, []release.Tag{tag("mero-tee-v1.2.0"), tag("mero-tee-v1.2.0"), tag("mero-tee-v1.3.0")}, w.booted)
	require.Equal(t, w.peers[0], w.peers[1], "the node is the same before and after")
	require.NotEqual(t, w.peers[0], w.peers[2])
	require.Contains(t, w.old.Asked(), string(w.peers[0]))
	require.NotContains(t, w.old.Asked(), string(w.peers[2]))
	require.Empty(t, w.living)
}

// The compose file is updated, the system under it is not.
func TestAnotherOSImage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, keyservice.Own, keyservice.Own)
	w.migration.From.Published.Image.OSImage, w.migration.To.Published.Image.OSImage = "dstack-0.5.8", "dstack-0.5.9"
	results := w.Restart(t.Context(), w.migration, node("1.2.0"), node("1.3.0"))
	require.Equal(t, []string{restarted}, failures(results))
	require.ErrorContains(t, results.Err(), "does not change the OS image")
	require.False(t, w.updated.Load())
	require.Empty(t, w.living)
}

// Without a node release that both policies admit, nothing can be compared; the rest is judged.
func TestNoCommonNodeRelease(t *testing.T) {
	t.Parallel()
	w := newWorld(t, keyservice.Own, keyservice.Own)
	results := w.Restart(t.Context(), w.migration, nil, node("1.3.0"))
	require.NoError(t, results.Err())
	require.Equal(t, 2, results.Count(check.Inapplicable))
	for _, name := range []string{lasting, renewing} {
		i := slices.IndexFunc(results, func(r check.Result) bool { return r.Name == name })
		require.Equal(t, check.Inapplicable, results[i].Status)
	}
	require.Equal(t, []release.Tag{tag("mero-tee-v1.3.0")}, w.booted)
}

const key = "step 5: a node of mero-tee-v1.3.0 gets its key"

// otherApplication is what a service gives that runs under another app id: each
// peer its own key, always the same, and none that it had.
func otherApplication(_ int, peerID string) (string, *wire.Error) {
	return keyservice.Key("another application" + peerID), nil
}

func TestMigrationsThatDoNotWork(t *testing.T) {
	t.Parallel()
	visit := func(change func(*agent.VisitResult)) func(*world) {
		return func(w *world) {
			w.edit = func(r *agent.Report) {
				for i := range r.Visits {
					change(&r.Visits[i])
				}
			}
		}
	}
	for name, tc := range map[string]struct {
		from, to keyservice.Keys
		damage   func(*world)
		fails    []string
	}{
		"the old service refuses": {from: keyservice.Refusing, to: keyservice.Own,
			fails: []string{lasting, renewing}},
		"the new service has other keys":    {from: keyservice.Own, to: otherApplication, fails: []string{renewing}},
		"the new service refuses":           {from: keyservice.Own, to: keyservice.Refusing, fails: []string{renewing, key}},
		"the new service's keys change":     {from: keyservice.Own, to: keyservice.Changing, fails: []string{renewing, key}},
		"the new service's keys are shared": {from: keyservice.Own, to: keyservice.Shared, fails: []string{renewing, key}},
		"nodes of another profile": {from: keyservice.Own, to: keyservice.Own, damage: func(w *world) {
			w.edit = func(r *agent.Report) { r.Profile = release.LockedReadOnly }
		}, fails: []string{lasting, renewing, key}},
		"nodes that visit nobody": {from: keyservice.Own, to: keyservice.Own, damage: func(w *world) {
			w.edit = func(r *agent.Report) { r.Visits = nil }
		}, fails: []string{lasting, renewing, key}},
		"nodes that verify nobody": {from: keyservice.Own, to: keyservice.Own,
			damage: visit(func(v *agent.VisitResult) { v.Verified = false }), fails: []string{lasting, renewing, key}},
		"nodes that do not say which key": {from: keyservice.Own, to: keyservice.Own,
			damage: visit(func(v *agent.VisitResult) { v.KeyDigest = nil }), fails: []string{lasting, renewing}},
		"nodes without a key": {from: keyservice.Own, to: keyservice.Own,
			damage: visit(func(v *agent.VisitResult) { v.KeyReleased = false }), fails: []string{lasting, renewing, key}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tc.from, tc.to)
			if tc.damage != nil {
				tc.damage(w)
			}
			results := w.Restart(t.Context(), w.migration, node("1.2.0"), node("1.3.0"))
			require.Equal(t, tc.fails, failures(results))
			require.Equal(t, fault.Verification, fault.CodeOf(results.Err()))
		})
	}
}
