package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

func TestTag(t *testing.T) {
	t.Parallel()
	kms, node := release.Version{Major: 1, Minor: 2, Patch: 3}, release.Version{Major: 3, Minor: 2, Patch: 1}
	pushed := func(ref string) config.Config {
		return config.Config{Environment: config.Production, Actions: true, RefName: ref, KMSVersion: kms}
	}
	for name, tc := range map[string]struct {
		family release.Family
		flag   string
		cfg    config.Config
		want   string // empty: a usage error
	}{
		"the flag's":                   {release.KMS, "mero-kms-v5.0.0", config.Config{KMSVersion: kms}, "mero-kms-v5.0.0"},
		"the workflow's":               {release.KMS, "", pushed("mero-kms-v5.0.0-rc.1"), "mero-kms-v5.0.0-rc.1"},
		"the flag before the workflow": {release.KMS, "mero-kms-v1.0.0", pushed("main"), "mero-kms-v1.0.0"},
		"the variable's":               {release.KMS, "", config.Config{KMSVersion: kms}, "mero-kms-v1.2.3"},
		"a node's": {release.Node, "", config.Config{KMSVersion: kms, TEEVersion: node},
			"mero-tee-v3.2.1"},
		"a ref outside of Actions": {release.KMS, "", config.Config{RefName: "mero-kms-v5.0.0", KMSVersion: kms},
			"mero-kms-v1.2.3"},
		"a branch's workflow": {release.KMS, "", pushed("main"), ""},
		"a rehearsal on a branch": {release.KMS, "",
			config.Config{Environment: config.Rehearsal, Actions: true, RefName: "main", KMSVersion: kms}, "mero-kms-v1.2.3"},
		"a rehearsal on a pull request": {release.Node, "",
			config.Config{Environment: config.Rehearsal, Actions: true, RefName: "12/merge", TEEVersion: node},
			"mero-tee-v3.2.1"},
		"nothing":                 {release.KMS, "", config.Config{}, ""},
		"the other family":        {release.KMS, "mero-tee-v1.2.3", config.Config{}, ""},
		"the other family's node": {release.Node, "mero-kms-v1.2.3", config.Config{}, ""},
		"not a tag":               {release.KMS, "v1.2.3", config.Config{}, ""},
		"a path":                  {release.KMS, "mero-kms-v1.2.3/../x", config.Config{}, ""},
		"a look":                  {"", "", config.Config{KMSVersion: kms}, "mero-kms-v1.2.3"},
		"a look at a node":        {"", "mero-tee-v1.0.0", config.Config{KMSVersion: kms}, "mero-tee-v1.0.0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tag, err := (&workspace{dist: t.TempDir(), cfg: &tc.cfg}).tag(tc.family, tc.flag)
			if tc.want == "" {
				require.Equal(t, fault.Usage, fault.CodeOf(err))
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.want, tag.String())
		})
	}
}

// Not parallel: it changes the environment of the process.
func TestConfigurationFollowsTheTag(t *testing.T) {
	for _, name := range []string{"MERO_ENVIRONMENT", "MERO_KMS_VERSION", "MERO_TEE_VERSION", "GITHUB_ACTIONS"} {
		t.Setenv(name, "")
	}
	dist := t.TempDir()
	configured := func(f release.Family, flag string) *config.Config {
		cfg, err := config.Load(os.LookupEnv)
		require.NoError(t, err)
		_, err = (&workspace{dist: dist, cfg: cfg}).tag(f, flag)
		require.NoError(t, err)
		return cfg
	}
	for tag, want := range map[string][2]string{
		"":                     {"0.1.0", "0.1.0"},
		"mero-kms-v3.2.1-rc.4": {"3.2.1-rc.4", "3.2.1"}, // "an RC is matched by the version it is a candidate for"
		"mero-tee-v3.2.1":      {"3.2.0", "3.2.1"},
	} {
		cfg := configured("", tag)
		require.Equal(t, want, [2]string{cfg.KMSVersion.String(), cfg.TEEVersion.String()}, tag)
	}
	t.Setenv("MERO_KMS_VERSION", "7.0.0")
	cfg := configured(release.KMS, "mero-kms-v3.2.1")
	require.Equal(t, "7.0.0", cfg.KMSVersion.String(), "guard 2 must see what the repository says")
	t.Setenv("MERO_ENVIRONMENT", config.Production)
	t.Setenv("MERO_KMS_VERSION", "")
	cfg = configured(release.KMS, "mero-kms-v3.2.1")
	require.Zero(t, cfg.KMSVersion, "production makes nothing up")
}

// Not parallel: it changes the working directory of the process.
func TestLocate(t *testing.T) {
	t.Setenv("MERO_DIST", "")
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	w, err := locate()
	require.NoError(t, err)
	require.Equal(t, &workspace{root: root, dist: filepath.Join(root, "dist")}, w)
	t.Setenv("MERO_DIST", "/elsewhere")
	w, err = locate()
	require.NoError(t, err)
	require.Equal(t, "/elsewhere", w.dist)
	t.Chdir(t.TempDir())
	_, err = locate()
	require.Equal(t, fault.Usage, fault.CodeOf(err))
	require.ErrorContains(t, err, "not inside the repository")
}
