package packer_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/packer"
	"github.com/calimero-network/mero-tee/internal/release"
)

func TestProfilesNameRolesThatExist(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, name := range release.Profiles() {
		p, err := packer.ReadProfile(root, name)
		require.NoError(t, err)
		require.Equal(t, "seal", p.Roles[len(p.Roles)-1], "the account of the connection is gone after it")
		for _, role := range p.Roles {
			require.DirExists(t, filepath.Join(root, "ansible", "roles", role))
			used[role] = true
		}
	}
	dirs, err := os.ReadDir(filepath.Join(root, "ansible", "roles"))
	require.NoError(t, err)
	for _, d := range dirs {
		require.True(t, used[d.Name()], "no profile has role %s", d.Name())
	}
}

// The playbook applies the roles that have tasks; a role that it does not know would be half done.
func TestPlaybookKnowsEveryRoleWithTasks(t *testing.T) {
	t.Parallel()
	playbook, err := os.ReadFile(filepath.Join(root, "ansible", "node.yml"))
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(playbook), "with_tasks: [")
	require.True(t, ok)
	list, _, _ := strings.Cut(rest, "]")
	tasks, err := filepath.Glob(filepath.Join(root, "ansible", "roles", "*", "tasks"))
	require.NoError(t, err)
	var have []string
	for _, path := range tasks {
		have = append(have, filepath.Base(filepath.Dir(path)))
	}
	require.ElementsMatch(t, have, strings.Split(list, ", "))
}

func TestLockedHasNeitherTelemetryNorSSH(t *testing.T) {
	t.Parallel()
	p, err := packer.ReadProfile(root, release.LockedReadOnly)
	require.NoError(t, err)
	require.NotContains(t, p.Roles, "ssh")
	require.NotContains(t, p.Roles, "telemetry")
	require.Equal(t, []string{"merod", "traefik"}, p.Companions)
}

func TestReadProfileRefuses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"another profile": `profile = "debug-read-only"` + "\n" + `roles = ["base"]`,
		"no roles":        `profile = "debug"`,
		"roles no list":   `profile = "debug"` + "\nroles = 1",
		"role no string":  `profile = "debug"` + "\nroles = [1]",
		"role a path":     `profile = "debug"` + "\n" + `roles = ["../x"]`,
		"no HCL":          `profile = `,
		"a block":         `profile {}`,
		"a variable":      `profile = var.x`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, filepath.Join(dir, "packer", "profiles", "debug.pkrvars.hcl"), text)
			_, err := packer.ReadProfile(dir, release.Debug)
			require.Equal(t, fault.Usage, fault.CodeOf(err))
		})
	}
	_, err := packer.ReadProfile(root, "open")
	require.ErrorContains(t, err, "unknown profile")
}

func TestBaseIsPinned(t *testing.T) {
	t.Parallel()
	base, err := packer.ReadBase(root)
	require.NoError(t, err)
	require.Equal(t, &packer.Base{Image: "ubuntu-2604-resolute-amd64-v20260918", Project: "ubuntu-os-cloud",
		Family: "ubuntu-2604-lts-amd64"}, base)
	for name, image := range map[string]string{"a family": "ubuntu-2604-lts-amd64", "empty": "",
		"a path": "family/ubuntu-v20250101", "no date": "ubuntu-v1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, filepath.Join(dir, "packer", "base.pkrvars.hcl"),
				"source_image = \""+image+"\"\nsource_image_project = \"p\"\nsource_image_family = \"f\"\n")
			_, err := packer.ReadBase(dir)
			require.ErrorContains(t, err, "the base image is not pinned")
			require.Equal(t, fault.Usage, fault.CodeOf(err))
		})
	}
}

func TestEveryCompanionIsPinned(t *testing.T) {
	t.Parallel()
	for _, name := range release.Profiles() {
		p, err := packer.ReadProfile(root, name)
		require.NoError(t, err)
		pins, err := packer.ReadPins(root, p.Companions)
		require.NoError(t, err)
		for i, pin := range pins {
			require.Equal(t, p.Companions[i], pin.Name)
			require.Contains(t, pin.URL, pin.Version)
			require.Contains(t, pin.URL, "https://")
		}
	}
}

func TestReadPinsRefuses(t *testing.T) {
	t.Parallel()
	_, err := packer.ReadPins(root, []string{"nginx"})
	require.Equal(t, fault.MissingAsset, fault.CodeOf(err))
	for name, text := range map[string]string{
		"no digest":     `{"schema_version":"1","companions":[{"name":"a","version":"1","url":"https://x","member":"a"}]}`,
		"unknown field": `{"schema_version":"1","companions":[],"more":1}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, filepath.Join(dir, "packer", "companions.json"), text)
			_, err := packer.ReadPins(dir, []string{"a"})
			require.Error(t, err)
		})
	}
}
