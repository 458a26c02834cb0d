package packer_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/packer"
	"github.com/calimero-network/mero-tee/internal/release"
)

func inputs(root string, p release.Profile) packer.Inputs {
	in := packer.Inputs{Root: root, Profile: p, Agent: digest.Of([]byte("agent"))}
	for _, name := range []string{"vector", "vmagent", "node_exporter", "traefik", "merod"} {
		in.Companions = append(in.Companions, packer.Pin{Name: name, Version: "1", SHA256: digest.Of([]byte(name))})
	}
	return in
}

// ids are the content ids of all three profiles.
func ids(t *testing.T, root string, spoil func(*packer.Inputs)) map[release.Profile]string {
	t.Helper()
	out := map[release.Profile]string{}
	for _, p := range release.Profiles() {
		in := inputs(root, p)
		if spoil != nil {
			spoil(&in)
		}
		id, err := in.ContentID()
		require.NoError(t, err)
		require.Regexp(t, `^[0-9a-f]{64}$`, id)
		out[p] = id
	}
	return out
}

func TestContentIDFollowsWhatTheProfileUses(t *testing.T) {
	t.Parallel()
	all := release.Profiles()
	readOnly := []release.Profile{release.DebugReadOnly, release.LockedReadOnly}
	open := []release.Profile{release.Debug, release.DebugReadOnly}
	at := func(path string) func(*testing.T, string) {
		return func(t *testing.T, root string) { change(t, filepath.Join(root, path)) }
	}
	for name, tc := range map[string]struct {
		edit  func(*testing.T, string)
		moves []release.Profile
	}{
		"a file of a role of all": {at("ansible/roles/base/files/root/etc/sysctl.d/90-mero.conf"), all},
		"a task":                  {at("ansible/roles/ssh/tasks/main.yml"), open},
		"a role of two":           {at("ansible/roles/verity/files/root/run/mero/steps/30-freeze"), readOnly},
		"a role of one": {at("ansible/roles/locked-read-only/files/root/run/mero/steps/05-lock"),
			[]release.Profile{release.LockedReadOnly}},
		"the debug role":        {at("ansible/roles/debug/files/root/etc/motd"), []release.Profile{release.Debug}},
		"a profile's variables": {at("packer/profiles/debug.pkrvars.hcl"), []release.Profile{release.Debug}},
		"the pin":               {at("packer/base.pkrvars.hcl"), all},
		"the template":          {at("packer/node.pkr.hcl"), all},
		"the playbook":          {at("ansible/node.yml"), all},
		"the agent's sources":   {at("ansible/roles/agent/files/mero-agent/main.go"), nil},
		"the predictor's":       {at("ansible/roles/disk/files/mero-predict/main.go"), nil},
		"a link": {func(t *testing.T, root string) {
			link := filepath.Join(root, "ansible/roles/locked-read-only/files/root/etc/systemd/system/getty@.service")
			require.NoError(t, os.Remove(link))
			require.NoError(t, os.Symlink("/lib/systemd/system/getty@.service", link))
		}, []release.Profile{release.LockedReadOnly}},
		"a mode": {func(t *testing.T, root string) {
			require.NoError(t, os.Chmod(filepath.Join(root, "ansible/roles/debug/files/root/etc/motd"), 0o755))
		}, []release.Profile{release.Debug}},
		"a new file": {func(t *testing.T, root string) {
			write(t, filepath.Join(root, "ansible/roles/ssh/files/root/etc/new"), "")
		}, open},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := scratch(t)
			before := ids(t, root, nil)
			tc.edit(t, root)
			after := ids(t, root, nil)
			var moved []release.Profile
			for _, p := range all {
				if before[p] != after[p] {
					moved = append(moved, p)
				}
			}
			require.Equal(t, tc.moves, moved)
		})
	}
}

func TestContentIDFollowsWhatIsHandedOver(t *testing.T) {
	t.Parallel()
	before := ids(t, root, nil)
	require.Equal(t, before, ids(t, root, nil))
	for name, tc := range map[string]struct {
		spoil func(*packer.Inputs)
		moves int
	}{
		"the program that predicts":  {func(in *packer.Inputs) { in.Predictor = digest.Of(nil) }, 3},
		"the agent":                  {func(in *packer.Inputs) { in.Agent = digest.Of(nil) }, 3},
		"the TDX root":               {func(in *packer.Inputs) { in.TDXRoot = "00" }, 3},
		"a telemetry program":        {func(in *packer.Inputs) { in.Companions[0].SHA256 = digest.Of(nil) }, 2},
		"a program of all":           {func(in *packer.Inputs) { in.Companions[4].SHA256 = digest.Of(nil) }, 3},
		"another file of an archive": {func(in *packer.Inputs) { in.Companions[4].Member = "other" }, 3},
		"a program of none": {func(in *packer.Inputs) {
			in.Companions = append(in.Companions, packer.Pin{Name: "other"})
		}, 0},
		"the order of the companions": {func(in *packer.Inputs) {
			in.Companions[0], in.Companions[1] = in.Companions[1], in.Companions[0]
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			moved := 0
			for p, id := range ids(t, root, tc.spoil) {
				if id != before[p] {
					moved++
				}
			}
			require.Equal(t, tc.moves, moved)
		})
	}
}

func TestContentIDNeedsEverything(t *testing.T) {
	t.Parallel()
	in := inputs(root, release.LockedReadOnly)
	in.Companions = in.Companions[:4] // merod is the last
	_, err := in.ContentID()
	require.Equal(t, fault.MissingAsset, fault.CodeOf(err))
	gone := scratch(t)
	require.NoError(t, os.Remove(filepath.Join(gone, "packer/node.pkr.hcl")))
	_, err = inputs(gone, release.Debug).ContentID()
	require.ErrorIs(t, err, os.ErrNotExist)
}
