package gce_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/gce"
	"github.com/calimero-network/mero-tee/internal/release"
)

func wanted() gce.VM {
	return gce.VM{Name: "mero-measure-debug-0a1b2c3d", Image: imageLink, MaxRun: 30 * time.Minute,
		Labels:   map[string]string{gce.LabelRun: runLabel},
		Metadata: map[string]string{"mero-nonce": strings.Repeat("0f", 32)}}
}

var expires = regexp.MustCompile(`"expires":"(\d+)"`)

// The whole request, so that nothing slips in: no external address, no service
// account, no way in, and an end that does not depend on us.
func TestTheRequestForAVM(t *testing.T) {
	t.Parallel()
	vm := wanted()
	maps.Copy(vm.Metadata, map[string]string{"serial-port-enable": "TRUE", "block-project-ssh-keys": "FALSE",
		"enable-guest-attributes": "FALSE"})
	w := newWorld(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPost:
			assert.Equal(t, zoned+"/instances", r.URL.Path)
			assert.Regexp(t, `^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`, r.URL.Query().Get("requestId"))
			body, _ := io.ReadAll(r.Body)
			stamps := expires.FindAllSubmatch(body, -1)
			assert.Len(t, stamps, 2)
			var seconds int64
			_, err := fmt.Sscan(string(stamps[0][1]), &seconds)
			assert.NoError(t, err)
			assert.WithinDuration(t, time.Now().Add(40*time.Minute), time.Unix(seconds, 0), time.Minute)
			assert.JSONEq(t, wantedJSON, string(expires.ReplaceAll(body, []byte(`"expires":"X"`))))
			ok(`{"name":"op","status":"RUNNING"}`).ServeHTTP(rw, r)
		case strings.Contains(r.URL.Path, "/operations/op"):
			ok(`{"name":"op","status":"DONE"}`).ServeHTTP(rw, r)
		default:
			ok(`{"name":"mero-measure-debug-0a1b2c3d","status":"RUNNING","id":"42"}`).ServeHTTP(rw, r)
		}
	}))
	i, err := w.client().Boot(t.Context(), vm)
	require.NoError(t, err)
	require.Equal(t, "RUNNING", i.Status)
	require.EqualValues(t, 42, i.ID)
	require.Equal(t, []string{"begin vm " + vm.Name}, w.journal)
}

const wantedJSON = `{
	"name": "mero-measure-debug-0a1b2c3d",
	"machineType": "zones/us-central1-a/machineTypes/c3-standard-4",
	"labels": {"owner": "mero-tee", "run": "` + runLabel + `", "expires":"X"},
	"confidentialInstanceConfig": {"confidentialInstanceType": "TDX"},
	"shieldedInstanceConfig": {"enableVtpm": true, "enableSecureBoot": false},
	"scheduling": {"onHostMaintenance": "TERMINATE", "automaticRestart": false,
		"maxRunDuration": {"seconds": "1800"}, "instanceTerminationAction": "DELETE"},
	"disks": [{"boot": true, "autoDelete": true, "interface": "NVME", "initializeParams": {
		"sourceImage": "` + imageLink + `", "diskType": "zones/us-central1-a/diskTypes/pd-balanced",
		"labels": {"owner": "mero-tee", "run": "` + runLabel + `", "expires":"X"}}}],
	"networkInterfaces": [{"network": "global/networks/default", "nicType": "GVNIC"}],
	"metadata": {"items": [
		{"key": "block-project-ssh-keys", "value": "TRUE"},
		{"key": "enable-guest-attributes", "value": "TRUE"},
		{"key": "mero-nonce", "value": "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f"},
		{"key": "serial-port-enable", "value": "FALSE"}]}
}`

func TestVMsThatAreNotBooted(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*gce.VM){
		"no name":          func(v *gce.VM) { v.Name = "" },
		"an upper case":    func(v *gce.VM) { v.Name = "Mero" },
		"a path":           func(v *gce.VM) { v.Name = "../x" },
		"64 characters":    func(v *gce.VM) { v.Name = strings.Repeat("a", 64) },
		"no image":         func(v *gce.VM) { v.Image = "" },
		"a family":         func(v *gce.VM) { v.Image = "mero-tee-debug" },
		"no run":           func(v *gce.VM) { v.Labels = nil },
		"a label's case":   func(v *gce.VM) { v.Labels["run"] = "v1.2.3" },
		"no end":           func(v *gce.VM) { v.MaxRun = 0 },
		"too short a life": func(v *gce.VM) { v.MaxRun = 29 * time.Second },
		"too long a life":  func(v *gce.VM) { v.MaxRun = 121 * 24 * time.Hour },
	} {
		w := newWorld(t, ok(`{}`))
		vm := wanted()
		spoil(&vm)
		_, err := w.client().Boot(t.Context(), vm)
		require.Equal(t, fault.Usage, fault.CodeOf(err), name)
		require.Empty(t, w.requests, name)
		require.Empty(t, w.journal, name)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, p := range release.Profiles() {
		for range 20 {
			name := gce.Name("measure", p)
			require.Regexp(t, `^mero-measure-`+string(p)+`-[0-9a-f]{8}$`, name)
			require.Regexp(t, `^[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?$`, name)
			require.False(t, seen[name])
			seen[name] = true
		}
	}
}

func TestRunLabels(t *testing.T) {
	t.Parallel()
	require.Equal(t, runLabel, gce.RunLabel("mero-tee-v1.2.3", "node:measure", "debug"))
	require.Equal(t, "mero-tee-v1-2-3-rc-4-node-e2e", gce.RunLabel("mero-tee-v1.2.3-rc.4", "node:e2e"))
	require.Len(t, gce.RunLabel(strings.Repeat("é", 80)), 63)
}

func TestAnImage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/compute/v1/projects/confidential-vm-images/global/images/family/ubuntu-2404-lts-amd64",
			"/compute/v1/projects/confidential-vm-images/global/images/ubuntu-2404-noble-amd64-v20261101":
			ok(imageJSON).ServeHTTP(rw, r)
		default:
			refuse(404, "notFound", "The resource was not found").ServeHTTP(rw, r)
		}
	}))
	c := w.client()
	newest, err := c.NewestOfFamily(t.Context(), "confidential-vm-images", "ubuntu-2404-lts-amd64")
	require.NoError(t, err)
	exact, err := c.Image(t.Context(), "confidential-vm-images", newest.Name)
	require.NoError(t, err)
	require.Equal(t, exact, newest)
	require.Equal(t, &gce.Image{Project: "confidential-vm-images", Name: "ubuntu-2404-noble-amd64-v20261101", ID: 7,
		SelfLink: "https://www.googleapis.com/compute/v1/x", Family: "ubuntu-2404-lts-amd64", Description: "noble",
		Created: newest.Created, Status: "READY", State: "DEPRECATED", Replacement: "next",
		Features: []string{"TDX_CAPABLE", "GVNIC"},
		Labels:   map[string]string{"a": "b"}, DiskBytes: 10 << 30}, newest)
	require.Equal(t, "2026-11-01T10:00:00Z", newest.Created.UTC().Format(time.RFC3339))
	_, err = c.Image(t.Context(), project, "absent")
	require.ErrorIs(t, err, gce.ErrNotFound)
	_, err = c.NewestOfFamily(t.Context(), project, "absent")
	require.ErrorIs(t, err, gce.ErrNotFound)
}

const imageJSON = `{"kind":"compute#image","name":"ubuntu-2404-noble-amd64-v20261101","id":"7",
	"family":"ubuntu-2404-lts-amd64",
	"selfLink":"https://www.googleapis.com/compute/v1/x","creationTimestamp":"2026-11-01T02:00:00.000-08:00",
	"status":"READY",
	"deprecated":{"state":"DEPRECATED","replacement":"next"},"guestOsFeatures":[{"type":"TDX_CAPABLE"},{"type":"GVNIC"}],
	"labels":{"a":"b"},"diskSizeGb":"10","description":"noble","somethingNew":true}`

func TestAnotherMachineType(t *testing.T) {
	t.Parallel()
	w := newWorld(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method == http.MethodPost {
			assert.Contains(t, string(body), `"zones/us-central1-a/machineTypes/c4-standard-8"`)
			assert.Contains(t, string(body), `"zones/us-central1-a/diskTypes/hyperdisk-balanced"`, "C4 has no other")
		}
		ok(`{"name":"another","status":"DONE"}`).ServeHTTP(rw, r)
	}))
	w.options.MachineType, w.options.Journal = "c4-standard-8", nil
	_, err := w.client().Boot(t.Context(), wanted())
	require.ErrorContains(t, err, `asked for mero-measure-debug-0a1b2c3d, got "another"`)
}
