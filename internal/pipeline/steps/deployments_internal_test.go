package steps

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/provider/dstack"
)

func effects(details ...string) []pipeline.Record {
	var out []pipeline.Record
	for _, d := range details {
		out = append(out, pipeline.Record{Step: "kms:e2e", Event: pipeline.Effect, Detail: d})
	}
	return out
}

func TestLeftovers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		journal []string
		want    []string
	}{
		"nothing":                     {nil, nil},
		"killed while deploying":      {[]string{"deploy begins a"}, []string{"a"}},
		"killed while testing":        {[]string{"deploy begins a", "deployed a app_1"}, []string{"a"}},
		"deleted":                     {[]string{"deploy begins a", "deployed a app_1", "deleted app_1"}, nil},
		"failed to deploy":            {[]string{"deploy begins a", "deleted a"}, nil},
		"killed, then run to the end": {[]string{"deploy begins a", "deploy begins a", "deployed a app_2", "deleted app_2"}, nil},
		"another is still there":      {[]string{"deploy begins a", "deploy begins b", "deployed a app_1", "deleted app_1"}, []string{"b"}},
		"other steps' effects":        {[]string{"upload: begin x", "pushed y"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, leftovers(effects(tc.journal...)))
		})
	}
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
			_ = json.NewEncoder(w).Encode(map[string]any{"vm_uuid": "u-1", "app_id": strings.Repeat("0", 40), "name": "there", "status": "running"})
		default:
			http.Error(w, `{"detail":"not found"}`, http.StatusNotFound)
		}
	}))
	defer s.Close()
	provider := dstack.New(s.URL, "key", http.DefaultTransport)
	journal := effects("deploy begins gone", "deploy begins there")
	found, err := SweepDeployments(t.Context(), provider, journal, false)
	require.NoError(t, err)
	require.Equal(t, []string{"there"}, found)
	require.Empty(t, deleted, "a dry run deletes nothing")
	found, err = SweepDeployments(t.Context(), provider, journal, true)
	require.NoError(t, err)
	require.Equal(t, []string{"there"}, found)
	require.Equal(t, []string{"/cvms/u-1"}, deleted)
}
