package migration_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/compose"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/provider/dstack"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/inprocess"
	"github.com/calimero-network/mero-tee/internal/rehearsal/keyservice"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/migration"
)

// world runs both releases as services that prove themselves.
type world struct {
	migration.Runner
	migration migration.Migration
	urls      map[string]string // by the deployment's name
	cloud     *inprocess.Cloud
	edit      func(*agent.Report) // changes what nodes report
	booted    []release.Tag
}

func newWorld(t *testing.T, from, to keyservice.Keys) *world {
	t.Helper()
	pki, err := tdxsim.NewPKI([]byte("migrate"))
	require.NoError(t, err)
	platform, err := pki.NewPlatform(1)
	require.NoError(t, err)
	client := &http.Client{Transport: split{tdxsim.NewPCS(pki, time.Now, platform)}}
	w := &world{migration: example(t), urls: map[string]string{}, edit: func(*agent.Report) {}}
	w.cloud, err = inprocess.Open(t.TempDir(),
		&inprocess.Host{Platform: platform, HTTP: client, TDXRoot: pki.RootSHA256()}, gce.Faults{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.cloud.Close()) })
	v, err := tdx.NewVerifier(tdx.Config{Root: pki.RootSHA256(), Collateral: tdx.NewCollateral(client)})
	require.NoError(t, err)
	w.Runner = migration.Runner{ID: "run1", Provider: w, Nodes: w, Verifier: v, HTTP: client}
	w.migration.From.AppCompose = []byte("the old one")
	for r, keys := range map[*migration.Release]keyservice.Keys{&w.migration.From: from, &w.migration.To: to} {
		s, err := keyservice.New(platform, compose.Hash(r.AppCompose), keys)
		require.NoError(t, err)
		h := httptest.NewServer(s)
		t.Cleanup(h.Close)
		w.urls[dstack.Name(string(release.KMS), r.Tag.Version.String(), "debug", "run1")] = h.URL
		n := s.TD.Registers()
		r.Published = measurement.Profile{MRTD: n.MRTD, RTMR0: n.RTMR0, RTMR1: n.RTMR1, RTMR2: n.RTMR2}
		r.HostTCB = tcb.List{AllowedTCBStatus: []string{"UpToDate"}}
	}
	return w
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

func (w *world) Deploy(_ context.Context, app dstack.App) (*dstack.Deployment, error) {
	return &dstack.Deployment{ID: app.Name, URL: w.urls[app.Name]}, nil
}

func (w *world) Delete(context.Context, string) error { return nil }

func (w *world) Boot(ctx context.Context, published *measurement.Published, p release.Profile,
	m agent.Mission) (*agent.Report, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		return nil, errors.New("this could wait for ever")
	}
	w.booted = append(w.booted, published.Tag)
	r, err := w.cloud.Report(ctx, inprocess.Image{Version: published.Tag.Version, Profile: p}, m)
	if err == nil {
		w.edit(r)
	}
	return r, err
}

func TestAMigrationThatWorks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, keyservice.Own, keyservice.Own)
	results := w.Restart(t.Context(), w.migration, node("1.2.0"), node("1.3.0"))
	require.NoError(t, results.Strict().Err())
	require.Equal(t, 0, results.Count(check.Inapplicable))
	require.Len(t, results, 6)
	require.Equal(t, []release.Tag{tag("mero-tee-v1.2.0"), tag("mero-tee-v1.3.0")}, w.booted)
}

func TestMigrationsThatDoNotWork(t *testing.T) {
	t.Parallel()
	const key = "step 5: a node of mero-tee-v1.3.0 gets its key"
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
		"the old service refuses":           {from: keyservice.Refusing, to: keyservice.Own, fails: []string{lasting}},
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
