package steps

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/provider/dstack"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
)

// provider makes and deletes deployments, unless it fails.
type provider struct {
	e2e.Provider
	ids   []string // that the deployment is given, one after the other
	calls int
	err   error
}

func (p *provider) Deploy(_ context.Context, app dstack.App) (*dstack.Deployment, error) {
	for _, id := range p.ids {
		if err := app.Announce(id); err != nil {
			return nil, err
		}
	}
	p.calls++
	return &dstack.Deployment{ID: "app_7"}, p.err
}

func (p *provider) Delete(context.Context, string) error { p.calls++; return p.err }

// What an interrupted test left is what the ledger saw begin and not end.
func TestDeploymentsLeftOpen(t *testing.T) {
	t.Parallel()
	refused := errors.New("no capacity")
	app := dstack.App{Name: "a"}
	deploy := func(ctx context.Context, j *journalled) error { _, err := j.Deploy(ctx, app); return err }
	remove := func(ctx context.Context, j *journalled) error { return j.Delete(ctx, "app_7") }
	for name, tc := range map[string]struct {
		failing int // the call that fails; the first is 1
		calls   []func(context.Context, *journalled) error
		ids     []string
		open    []string
	}{
		"killed while testing": {0, []func(context.Context, *journalled) error{deploy}, []string{"7"}, []string{"a/7"}},
		"deleted": {0, []func(context.Context, *journalled) error{deploy, remove}, []string{"7"},
			[]string{}},
		"failed to deploy":           {1, []func(context.Context, *journalled) error{deploy}, []string{"7"}, []string{"a/7"}},
		"failed before it had an id": {1, []func(context.Context, *journalled) error{deploy}, nil, []string{}},
		"failed to delete": {2, []func(context.Context, *journalled) error{deploy, remove}, []string{"7"},
			[]string{"a/7"}},
		"failed, then run to the end": {1, []func(context.Context, *journalled) error{deploy, deploy, remove}, []string{"7"},
			[]string{}},
		"lost an id to another": {0, []func(context.Context, *journalled) error{deploy}, []string{"6", "7"},
			[]string{"a/7"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := pipeline.OpenLedger(t.TempDir(), "mero-kms-v1.0.0", "0123456789abcdef0123456789abcdef01234567", time.Now)
			require.NoError(t, err)
			defer func() { require.NoError(t, l.Close()) }()
			step := pipeline.Step{Name: "kms:e2e", Do: func(ctx context.Context, w *pipeline.Work) error {
				p := &provider{ids: tc.ids}
				j := Journalled(p, w.Journal).(*journalled)
				for i, call := range tc.calls {
					p.err = nil
					if i+1 == tc.failing {
						p.err = refused
					}
					require.Equal(t, p.err != nil, call(ctx, j) != nil)
				}
				return nil
			}}
			run := &pipeline.Run{Graph: pipeline.Graph{step}, Ledger: l, Console: console.New(io.Discard, false)}
			require.NoError(t, run.All(t.Context()))
			require.ElementsMatch(t, tc.open, l.Open(journal.Deployment))
			require.Empty(t, l.Open(journal.VM))
		})
	}
}

// A full disk: what cannot be written down is not deployed.
func TestNoDeploymentWithoutItsIntent(t *testing.T) {
	t.Parallel()
	p := &provider{ids: []string{"7"}}
	j := Journalled(p, func(journal.Entry) error { return syscall.ENOSPC })
	_, err := j.Deploy(t.Context(), dstack.App{Name: "a"})
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.Zero(t, p.calls)
}

// workspace is a provider with CVMs: names by app id.
type workspace struct {
	names   map[string]string
	stuck   string // the app id that it does not delete
	deleted []string
}

func (p *workspace) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := strings.TrimPrefix(r.URL.Path, "/cvms/app_")
	name, there := p.names[id]
	switch {
	case !there:
		http.Error(w, `{"detail":"not found"}`, http.StatusNotFound)
	case r.Method == http.MethodDelete && id == p.stuck:
		http.Error(w, `{"detail":"it is being updated"}`, http.StatusConflict)
	case r.Method == http.MethodDelete:
		p.deleted = append(p.deleted, id)
		w.WriteHeader(http.StatusNoContent)
	default:
		_ = json.NewEncoder(w).Encode(map[string]any{"vm_uuid": nil, "app_id": id, "name": name, "status": "running"})
	}
}

func (p *workspace) client(t *testing.T) *dstack.Client {
	t.Helper()
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	return dstack.New(s.URL, "key", http.DefaultTransport)
}

func begun(subject string) pipeline.Record {
	return pipeline.Record{Step: "kms:e2e", Event: pipeline.Intent, Kind: journal.Deployment, Subject: subject}
}

func TestSweepDeletesOnlyWhenTold(t *testing.T) {
	t.Parallel()
	p := &workspace{names: map[string]string{"2": "there"}}
	records := []pipeline.Record{begun("gone/1"), begun("there/2")}
	found, err := SweepDeployments(t.Context(), p.client(t), records, false)
	require.NoError(t, err)
	require.Equal(t, []string{"there/2"}, found)
	require.Empty(t, p.deleted, "a dry run deletes nothing")
	found, err = SweepDeployments(t.Context(), p.client(t), records, true)
	require.NoError(t, err)
	require.Equal(t, []string{"there/2"}, found)
	require.Equal(t, []string{"2"}, p.deleted)
}

// An operator's application is not ours, though it has the name that our ledger
// holds, or the app id that we were given and did not use.
func TestSweepLeavesAnOperatorsApplicationAlone(t *testing.T) {
	t.Parallel()
	p := &workspace{names: map[string]string{"1": "mero-kms-1-2-0-debug-run1", "2": "an-operators", "3": "ours"}}
	records := []pipeline.Record{begun("mero-kms-1-2-0-debug-run1/9"), begun("mero-kms-1-2-0-debug-run1/2"),
		begun("ours/3"),
		begun("of-an-older-form")}
	found, err := SweepDeployments(t.Context(), p.client(t), records, true)
	require.ErrorContains(t, err, "a ledger's deployment")
	require.Equal(t, []string{"ours/3"}, found)
	require.Equal(t, []string{"3"}, p.deleted)
}

// What an interrupted run left and cannot be deleted stays in the ledger, and keeps nothing else.
func TestClearingGoesOnAfterAnError(t *testing.T) {
	t.Parallel()
	p := &workspace{names: map[string]string{"1": "a", "2": "b", "3": "c"}, stuck: "2"}
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	l, err := pipeline.OpenLedger(t.TempDir(), "mero-kms-v1.0.0", strings.Repeat("a", 40), time.Now)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	j := l.Journal("kms:e2e")
	for _, open := range []string{"a/1", "b/2", "c/3"} {
		require.NoError(t, j.Begin(journal.Deployment, open))
	}
	r := &Release{Ledger: l, Env: &environment.Environment{Settings: environment.Settings{Transport: http.DefaultTransport,
		DstackURL: s.URL, DstackKey: "key"}}}
	require.ErrorContains(t, r.clearEarlier(t.Context(), j), "it is being updated")
	require.ElementsMatch(t, []string{"1", "3"}, p.deleted)
	require.Equal(t, []string{"b/2"}, l.Open(journal.Deployment))
}
