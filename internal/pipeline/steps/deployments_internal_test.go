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
	"github.com/calimero-network/mero-tee/internal/provider/dstack"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
)

// provider makes and deletes deployments, unless it fails.
type provider struct {
	e2e.Provider
	calls int
	err   error
}

func (p *provider) Deploy(_ context.Context, app dstack.App) (*dstack.Deployment, error) {
	p.calls++
	return &dstack.Deployment{ID: "app_" + app.Name}, p.err
}

func (p *provider) Delete(context.Context, string) error { p.calls++; return p.err }

// What an interrupted test left is what the ledger saw begin and not end.
func TestDeploymentsLeftOpen(t *testing.T) {
	t.Parallel()
	refused := errors.New("no capacity")
	app := dstack.App{Name: "a"}
	deploy := func(ctx context.Context, j *journalled) error { _, err := j.Deploy(ctx, app); return err }
	remove := func(ctx context.Context, j *journalled) error { return j.Delete(ctx, "app_a") }
	for name, tc := range map[string]struct {
		failing int // the call that fails; the first is 1
		calls   []func(context.Context, *journalled) error
		open    []string
	}{
		"killed while testing":        {0, []func(context.Context, *journalled) error{deploy}, []string{"a"}},
		"deleted":                     {0, []func(context.Context, *journalled) error{deploy, remove}, []string{}},
		"failed to deploy":            {1, []func(context.Context, *journalled) error{deploy}, []string{"a"}},
		"failed to delete":            {2, []func(context.Context, *journalled) error{deploy, remove}, []string{"a"}},
		"failed, then run to the end": {1, []func(context.Context, *journalled) error{deploy, deploy, remove}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := pipeline.OpenLedger(t.TempDir(), "mero-kms-v1.0.0", "0123456789abcdef0123456789abcdef01234567", time.Now)
			require.NoError(t, err)
			defer func() { require.NoError(t, l.Close()) }()
			step := pipeline.Step{Name: "kms:e2e", Do: func(ctx context.Context, w *pipeline.Work) error {
				p := &provider{}
				j := &journalled{Provider: p, journal: w.Journal, names: map[string]string{}}
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
			require.Equal(t, tc.open, l.Open(journal.Deployment))
			require.Empty(t, l.Open(journal.VM))
		})
	}
}

// A full disk: what cannot be written down is not deployed.
func TestNoDeploymentWithoutItsIntent(t *testing.T) {
	t.Parallel()
	p := &provider{}
	j := &journalled{Provider: p, journal: func(journal.Entry) error { return syscall.ENOSPC }}
	_, err := j.Deploy(t.Context(), dstack.App{Name: "a"})
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.Zero(t, p.calls)
}

func TestSweepDeletesOnlyWhenTold(t *testing.T) {
	t.Parallel()
	deleted := []string{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodDelete:
			deleted = append(deleted, r.URL.Path)
			w.WriteHeader(http.StatusNoContent)
		case strings.HasSuffix(r.URL.Path, "/there"):
			_ = json.NewEncoder(w).Encode(map[string]any{"vm_uuid": "u-1", "app_id": strings.Repeat("0", 40), "name": "there",
				"status": "running"})
		default:
			http.Error(w, `{"detail":"not found"}`, http.StatusNotFound)
		}
	}))
	defer s.Close()
	cloud := dstack.New(s.URL, "key", http.DefaultTransport)
	begun := func(name string) pipeline.Record {
		return pipeline.Record{Step: "kms:e2e", Event: pipeline.Intent, Kind: journal.Deployment, Subject: name}
	}
	records := []pipeline.Record{begun("gone"), begun("there")}
	found, err := SweepDeployments(t.Context(), cloud, records, false)
	require.NoError(t, err)
	require.Equal(t, []string{"there"}, found)
	require.Empty(t, deleted, "a dry run deletes nothing")
	found, err = SweepDeployments(t.Context(), cloud, records, true)
	require.NoError(t, err)
	require.Equal(t, []string{"there"}, found)
	require.Equal(t, []string{"/cvms/u-1"}, deleted)
}
