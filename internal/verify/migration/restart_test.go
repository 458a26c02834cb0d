package migration_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

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
	fails   string // the name of the deployment that fails
	living  []string
	deletes error
}

func (p *provider) Deploy(_ context.Context, app dstack.App) (*dstack.Deployment, error) {
	if app.Name == p.fails {
		return nil, errors.New("no capacity")
	}
	p.living = append(p.living, app.Name)
	return &dstack.Deployment{ID: app.Name, URL: p.url}, nil
}

func (p *provider) Delete(_ context.Context, id string) error {
	p.living = slices.DeleteFunc(p.living, func(s string) bool { return s == id })
	return p.deletes
}

type noNodes struct{}

func (noNodes) Boot(context.Context, *measurement.Published, release.Profile, agent.Mission) (*agent.Report, error) {
	return nil, errors.New("no node boots")
}

func node(version string) *measurement.Published {
	return &measurement.Published{Family: release.Node, Tag: tag("mero-tee-v" + version)}
}

func field(t *testing.T) (migration.Runner, *provider, *[]string) {
	t.Helper()
	asked := &[]string{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health" {
			_, _ = io.WriteString(w, `{"policyReady":true}`)
			return
		}
		*asked = append(*asked, r.URL.Path)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(s.Close)
	p := &provider{url: s.URL}
	return migration.Runner{ID: "run1", Provider: p, Nodes: noNodes{}, HTTP: s.Client()}, p, asked
}

const (
	lasting  = "step 4: a session with the old service still gets its key"
	renewing = "step 4: the session re-attests to the restarted service"
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
	require.Equal(t, []string{lasting, renewing, "step 5: " + p.url + " attests as mero-kms-v1.3.0",
		"step 5: a node of mero-tee-v1.3.0 gets its key"}, failures(results))
	require.Equal(t, []string{"/attest", "/attest"}, *asked)
	require.Empty(t, p.living)
	require.Equal(t, check.Passed, results[len(results)-1].Status)
}

// Whatever fails, what was deployed is deleted, and it is said where that did not work.
func TestRestartCleansUp(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fails   string
		deletes error
		want    []string
	}{
		"the old service does not come up": {"mero-kms-1-2-0-debug-run1", nil, []string{"step 4: the service of mero-kms-v1.2.0"}},
		"the new service does not come up": {"mero-kms-1-3-0-debug-run1", errors.New("provider is down"),
			[]string{"step 4: rolling restart, mero-kms-v1.3.0 is up", "nothing is left behind"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, p, _ := field(t)
			p.fails, p.deletes = tc.fails, tc.deletes
			results := f.Restart(t.Context(), example(t), node("1.2.0"), node("1.3.0"))
			require.Equal(t, tc.want, failures(results))
			require.Empty(t, p.living)
			require.Equal(t, fault.General, fault.CodeOf(results.Err()))
		})
	}
}

func TestNoCommonNodeRelease(t *testing.T) {
	t.Parallel()
	f, _, _ := field(t)
	results := f.Restart(t.Context(), example(t), nil, node("1.3.0"))
	for _, name := range []string{lasting, renewing} {
		i := slices.IndexFunc(results, func(r check.Result) bool { return r.Name == name })
		require.Equal(t, check.Inapplicable, results[i].Status)
	}
}
