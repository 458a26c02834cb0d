package cli

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/magefile/mage/mg"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// Mage looks for an exit code on the outermost error only.
func TestExit(t *testing.T) {
	t.Parallel()
	require.NoError(t, Exit(nil))
	for name, tc := range map[string]struct {
		err  error
		code int
		text string
	}{
		"a fault":          {&fault.Error{Code: fault.Verification, Step: "kms:audit"}, 10, "kms:audit (exit code 10)"},
		"wrapped":          {fmt.Errorf("while: %w", &fault.Error{Code: fault.MissingAsset, Step: "kms:sign"}), 11, "kms:sign (exit code 11)"},
		"joined":           {errors.Join(errors.New("a"), &fault.Error{Code: fault.Usage}), 2, "stopped (exit code 2)"},
		"an unknown error": {errors.New("broken pipe"), 1, "stopped (exit code 1)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := Exit(tc.err)
			require.Equal(t, tc.code, mg.ExitStatus(err))
			require.EqualError(t, err, tc.text)
		})
	}
}

// "Every error is printed once": what only could not start because of the first is not news.
func TestFirstFailureDecides(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := &session{console: console.New(&out, false)}
	require.NoError(t, s.fail("kms:build", nil))
	require.Equal(t, 10, mg.ExitStatus(s.fail("kms:version", &fault.Error{Code: fault.Verification, Message: "the guard says no"})))
	blocked := &fault.Error{Code: fault.General, Message: "this step needs kms:version", Err: &pipeline.BlockedError{Missing: "kms:version"}}
	require.Equal(t, 10, mg.ExitStatus(s.fail("kms:build", blocked)), "the exit code is the cause's")
	require.Equal(t, 10, mg.ExitStatus(s.fail("kms:policy", errors.New("disk full"))))
	require.Contains(t, out.String(), "kms:version: the guard says no")
	require.NotContains(t, out.String(), "this step needs")
	require.Contains(t, out.String(), "kms:policy: disk full", "a failure of its own is printed")
}

func TestBlockedAloneIsPrinted(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := &session{console: console.New(&out, false)}
	blocked := &fault.Error{Code: fault.General, Message: "kms:sbom needs kms:build", Err: &pipeline.BlockedError{Missing: "kms:build"}, Hint: "run it first"}
	require.Equal(t, 1, mg.ExitStatus(s.fail("kms:sbom", blocked)))
	require.Contains(t, out.String(), "kms:sbom needs kms:build")
	require.Contains(t, out.String(), "run it first")
}

func TestTagOf(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		family release.Family
		flag   string
		cfg    config.Config
		want   string // empty: a usage error
	}{
		"the flag's":                   {release.KMS, "mero-kms-v1.2.3", config.Config{KMSVersion: release.Version{Major: 9, Minor: 9, Patch: 9}}, "mero-kms-v1.2.3"},
		"the workflow's":               {release.KMS, "", config.Config{Actions: true, RefName: "mero-kms-v1.2.3-rc.1", KMSVersion: release.Version{Major: 9, Minor: 9, Patch: 9}}, "mero-kms-v1.2.3-rc.1"},
		"the flag before the workflow": {release.KMS, "mero-kms-v1.0.0", config.Config{Actions: true, RefName: "main"}, "mero-kms-v1.0.0"},
		"the variable's":               {release.KMS, "", config.Config{KMSVersion: release.Version{Major: 1, Minor: 2, Patch: 3}}, "mero-kms-v1.2.3"},
		"a node's":                     {release.Node, "", config.Config{KMSVersion: release.Version{Major: 1, Minor: 2, Patch: 3}, TEEVersion: release.Version{Major: 3, Minor: 2, Patch: 1}}, "mero-tee-v3.2.1"},
		"a ref outside of Actions":     {release.KMS, "", config.Config{RefName: "mero-kms-v5.0.0", KMSVersion: release.Version{Major: 1, Minor: 2, Patch: 3}}, "mero-kms-v1.2.3"},
		"a branch's workflow":          {release.KMS, "", config.Config{Actions: true, RefName: "main", KMSVersion: release.Version{Major: 1, Minor: 2, Patch: 3}}, ""},
		"nothing":                      {release.KMS, "", config.Config{}, ""},
		"the other family":             {release.KMS, "mero-tee-v1.2.3", config.Config{}, ""},
		"the other family's node":      {release.Node, "mero-kms-v1.2.3", config.Config{}, ""},
		"not a tag":                    {release.KMS, "v1.2.3", config.Config{}, ""},
		"a path":                       {release.KMS, "mero-kms-v1.2.3/../x", config.Config{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tag, err := tagOf(tc.family, tc.flag, &tc.cfg)
			if tc.want == "" {
				require.Equal(t, fault.Usage, fault.CodeOf(err))
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.want, tag.String())
		})
	}
}

func TestFamilyOf(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		target, tag string
		want        release.Family
	}{
		"a step":                   {"kms:sign", "", release.KMS},
		"a node step":              {"node:sign", "", release.Node},
		"a whole node release":     {"release:node", "", release.Node},
		"a look":                   {"release:status", "", release.KMS},
		"a look at a node release": {"release:status", "mero-tee-v1.0.0", release.Node},
		"a step keeps its family":  {"kms:sign", "mero-tee-v1.0.0", release.KMS},
		"so does a release":        {"release:kms", "mero-tee-v1.0.0", release.KMS},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, familyOf(tc.target, tc.tag))
		})
	}
}

// Not parallel: it changes the environment of the process.
func TestConfigurationFollowsTheTag(t *testing.T) {
	for _, name := range []string{"MERO_ENVIRONMENT", "MERO_KMS_VERSION", "MERO_TEE_VERSION", "GITHUB_ACTIONS"} {
		t.Setenv(name, "")
	}
	p := place{dist: t.TempDir()}
	for tag, want := range map[string][2]string{
		"":                     {"0.1.0", "0.1.0"},
		"mero-kms-v3.2.1-rc.4": {"3.2.1-rc.4", "3.2.1"}, // "an RC is matched by the version it is a candidate for"
		"mero-tee-v3.2.1":      {"3.2.0", "3.2.1"},
	} {
		f := release.KMS
		if strings.HasPrefix(tag, "mero-tee") {
			f = release.Node
		}
		cfg, err := configuration(p, f, tag)
		require.NoError(t, err)
		require.Equal(t, want, [2]string{cfg.KMSVersion.String(), cfg.TEEVersion.String()}, tag)
	}
	t.Setenv("MERO_KMS_VERSION", "7.0.0")
	cfg, err := configuration(p, release.KMS, "mero-kms-v3.2.1")
	require.NoError(t, err)
	require.Equal(t, "7.0.0", cfg.KMSVersion.String(), "guard 2 must see what the repository says")
	t.Setenv("MERO_ENVIRONMENT", config.Production)
	t.Setenv("MERO_KMS_VERSION", "")
	cfg, err = configuration(p, release.KMS, "mero-kms-v3.2.1")
	require.NoError(t, err)
	require.Zero(t, cfg.KMSVersion, "production makes nothing up")
}

// Not parallel: it changes the working directory of the process.
func TestHere(t *testing.T) {
	t.Setenv("MERO_DIST", "")
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	p, err := here()
	require.NoError(t, err)
	require.Equal(t, place{root: root, dist: filepath.Join(root, "dist")}, p)
	t.Setenv("MERO_DIST", "/elsewhere")
	p, err = here()
	require.NoError(t, err)
	require.Equal(t, "/elsewhere", p.dist)
	t.Chdir(t.TempDir())
	_, err = here()
	require.Equal(t, fault.Usage, fault.CodeOf(err))
	require.ErrorContains(t, err, "not inside the repository")
}
