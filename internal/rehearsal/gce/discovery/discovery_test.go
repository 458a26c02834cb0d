package discovery_test

import (
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/discovery"
)

var update = flag.Bool("update", false, "write compute-v1.json anew")

// calls are those that a release, doctor and sweep make, and their tests.
var calls = []string{"disks.aggregatedList", "disks.delete", "disks.get", "disks.insert", "globalOperations.get",
	"images.delete", "images.deprecate", "images.get", "images.getFromFamily", "images.insert", "images.list",
	"instances.aggregatedList", "instances.delete", "instances.get", "instances.getGuestAttributes",
	"instances.getSerialPortOutput", "instances.insert", "instances.reset", "instances.setMetadata", "instances.start",
	"instances.stop",
	"machineTypes.get", "projects.get", "zoneOperations.get", "zones.get"}

// whole is the document of the module that this repository builds with.
type whole struct {
	Revision   string
	Parameters map[string]discovery.Schema
	Resources  map[string]struct {
		Methods map[string]discovery.Method
	}
	Schemas map[string]discovery.Schema
}

// extract takes the calls out of the document, and the schemas that they need.
func extract(t *testing.T) *discovery.Document {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "google.golang.org/api").Output()
	require.NoError(t, err)
	data, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "compute", "v1", "compute-api.json"))
	require.NoError(t, err)
	var from whole
	require.NoError(t, json.Unmarshal(data, &from))
	out := &discovery.Document{Revision: from.Revision, Parameters: from.Parameters,
		Methods: map[string]discovery.Method{}, Schemas: map[string]discovery.Schema{}}
	for _, name := range calls {
		resource, method, _ := strings.Cut(name, ".")
		m, ok := from.Resources[resource].Methods[method]
		require.True(t, ok, name)
		out.Methods[name] = m
		need(from, out, m.Request)
		need(from, out, m.Response)
	}
	return out
}

// need copies a schema and what it refers to.
func need(from whole, out *discovery.Document, s *discovery.Schema) {
	if s == nil {
		return
	}
	if _, there := out.Schemas[s.Ref]; s.Ref != "" && !there {
		known := from.Schemas[s.Ref]
		out.Schemas[s.Ref] = known
		need(from, out, &known)
	}
	for _, p := range s.Properties {
		need(from, out, &p)
	}
	need(from, out, s.Items)
	need(from, out, s.AdditionalProperties)
}

// The facts are those of the vendor's document.
func TestTheFactsAreTheVendors(t *testing.T) {
	t.Parallel()
	want, err := canonical.Marshal(extract(t))
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile("compute-v1.json", want, 0o600))
	}
	got, err := os.ReadFile("compute-v1.json")
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "run: go test ./internal/rehearsal/gce/discovery -update")
}

// The check can fail, for each thing that it looks at.
func TestWhatLeavesTheDocument(t *testing.T) {
	t.Parallel()
	d, err := discovery.Compute()
	require.NoError(t, err)
	const instances = "/compute/v1/projects/a-project/zones/z/instances"
	for name, tc := range map[string]struct {
		method, path, body, want string
	}{
		"a call": {http.MethodPost, instances, `{"name":"a","labels":{"a":"b"},"disks":[{"boot":true}]}`, ""},
		"null in a list": {http.MethodPost, instances,
			`{"networkInterfaces":[{"accessConfigs":[null]}]}`, ""},
		"no method":           {http.MethodPut, instances, `{}`, "is no method"},
		"another host's path": {http.MethodPost, "/v1/projects/a", `{}`, "is no method"},
		"a parameter":         {http.MethodPost, instances + "?colour=red", `{}`, "has no parameter colour"},
		"a name": {http.MethodGet, "/compute/v1/projects/a-project/zones/z/instances/A", "",
			"instance: A does not fit"},
		"an unknown field":  {http.MethodPost, instances, `{"colour":"red"}`, "instances.insert.colour is unknown"},
		"a field below":     {http.MethodPost, instances, `{"disks":[{"colour":1}]}`, "disks[0].colour is unknown"},
		"a word of an enum": {http.MethodPost, instances, `{"status":"DANCING"}`, "status: DANCING does not fit"},
		"a number that is a text": {http.MethodPost, instances, `{"id":7}`,
			"id: 7 does not fit"},
		"a text that is no number": {http.MethodPost, instances, `{"id":"seven"}`, "id: seven does not fit"},
		"an object for a list":     {http.MethodPost, instances, `{"disks":{}}`, "disks is an object"},
		"a list for an object":     {http.MethodPost, instances, `{"metadata":[]}`, "metadata is a list"},
		"no JSON":                  {http.MethodPost, instances, `{`, "unexpected end"},
	} {
		_, err := d.CheckRequest(httptest.NewRequest(tc.method, tc.path, nil), []byte(tc.body))
		if tc.want == "" {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorContains(t, err, tc.want, name)
	}
	require.NoError(t, d.CheckAnswer("instances.get", []byte(`{"status":"RUNNING"}`)))
	require.ErrorContains(t, d.CheckAnswer("instances.get", []byte(`{"status":"DANCING"}`)), "DANCING")
	require.ErrorContains(t, d.CheckAnswer("instances.dance", []byte(`{}`)), "no method")
	require.NoError(t, discovery.CheckError(404,
		[]byte(`{"error":{"code":404,"message":"m","errors":[{"message":"m","domain":"global","reason":"notFound"}]}}`)))
	require.Error(t, discovery.CheckError(404, []byte(`{"error":{"code":404,"message":"m"}}`)))
	require.Error(t, discovery.CheckError(404, []byte(`not found`)))
}
