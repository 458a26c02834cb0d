package migration_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/provider/dstack"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/migration"
)

// provider deploys an impostor: it is healthy and has its policy, and proves nothing.
type provider struct {
	url     string
	deploys error
	updates error
	moved   bool // an update gives the application another id
	named   []string
	living  []string
	deletes error
}

func (p *provider) Deploy(_ context.Context, app dstack.App) (*dstack.Deployment, error) {
	p.named = append(p.named, app.Name)
	if p.deploys != nil {
		return nil, p.deploys
	}
	p.living = append(p.living, app.Name)
	return &dstack.Deployment{ID: app.Name, AppID: "a1", URL: p.url}, nil
}

func (p *provider) Update(_ context.Context, appID string, app dstack.App) (*dstack.Deployment, error) {
	if p.moved {
		appID = "b2"
	}
	return &dstack.Deployment{ID: app.Name, AppID: appID, URL: p.url}, p.updates
}

func (p *provider) Delete(_ context.Context, id string) error {
	p.living = slices.DeleteFunc(p.living, func(s string) bool { return s == id })
	return p.deletes
}

type noNodes struct{}

func (noNodes) Boot(context.Context, *measurement.Published, release.Profile, agent.Mission) (*agent.Report, error) {
	return nil, errors.New("no node boots")
}

func (noNodes) Left(context.Context) ([]string, error) { return nil, nil }

func node(version string) *measurement.Published {
	return &measurement.Published{Family: release.Node, Tag: tag("mero-tee-v" + version)}
}

// field is a service that is up and proves nothing; asked are the paths that were asked for so far, of requests too
// whose caller did not wait for the answer.
func field(t *testing.T) (f migration.Runner, p *provider, asked func() []string) {
	t.Helper()
	var mu sync.Mutex
	var paths []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health" {
			_, _ = io.WriteString(w, `{"policyReady":true}`)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		paths = append(paths, r.URL.Path)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(s.Close)
	p = &provider{url: s.URL}
	asked = func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(paths)
	}
	return migration.Runner{ID: "run1", Provider: p, Nodes: noNodes{}, HTTP: s.Client(),
		Patience: time.Millisecond}, p, asked
}

const (
	serving   = "step 4: the service of mero-kms-v1.2.0 is up"
	lasting   = "step 4: a node gets its key from the old service"
	restarted = "step 4: rolling restart, mero-kms-v1.3.0 runs in place of mero-kms-v1.2.0, under its id and address"
	renewing  = "step 4: the node re-attests and gets the key that it had; a node that does not re-attest notices nothing"
	clean     = "nothing is left behind"
)

func failures(results check.Results) (out []string) {
	for _, r := range results {
		if !r.OK() {
			out = append(out, r.Name)
		}
	}
	return out
}

func TestAnImpostorIsNotAskedForAKey(t *testing.T) {
	t.Parallel()
	f, p, asked := field(t)
	results := f.Restart(t.Context(), example(t), node("1.2.0"), node("1.3.0"))
	require.Equal(t, []string{lasting, restarted}, failures(results))
	require.NotEmpty(t, asked())
	for _, path := range asked() {
		require.Equal(t, "/attest", path)
	}
	require.Equal(t, []string{"mero-kms-migrate-debug-run1"}, p.named, "a name that no other run has")
	require.Empty(t, p.living)
	require.Equal(t, check.Passed, results[len(results)-1].Status)
}

// Whatever fails, what was deployed is deleted, and it is said where that did not work.
func TestRestartCleansUp(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		world provider
		want  []string
		code  fault.Code
	}{
		"the old service does not come up": {provider{deploys: errors.New("no capacity")}, []string{serving}, fault.General},
		"the new service does not come up": {
			provider{updates: errors.New("did not boot"), deletes: errors.New("provider is down")},
			[]string{lasting, restarted, clean}, fault.General},
		"the update makes another application": {provider{moved: true}, []string{lasting, restarted}, fault.General},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, p, _ := field(t)
			tc.world.url = p.url
			*p = tc.world
			results := f.Restart(t.Context(), example(t), node("1.2.0"), node("1.3.0"))
			require.Equal(t, tc.want, failures(results))
			require.Empty(t, p.living)
			require.Equal(t, tc.code, fault.CodeOf(results.Err()))
			if p.moved {
				require.ErrorContains(t, results[2].Err(), "another one now, and so are its keys")
			}
		})
	}
}
