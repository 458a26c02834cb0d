package environment_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/endorsement"
	"github.com/calimero-network/mero-tee/internal/attestation/ita"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

const tag = "mero-kms-v1.2.0"

// repository is a git repository with one commit, tagged.
func repository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), []byte("one\n"), 0o600))
	git(t, dir, "init", "-q")
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-q", "-m", "first")
	git(t, dir, "tag", tag)
	return dir
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c",
		"commit.gpgsign=false"}, args...)...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}

func production(t *testing.T, dir string, vars map[string]string) *environment.Environment {
	t.Helper()
	cfg, err := config.Load(func(name string) (string, bool) { v, ok := vars[name]; return v, ok })
	require.NoError(t, err)
	e, err := environment.Production(dir, filepath.Join(dir, "dist"), cfg, func(string) {})
	require.NoError(t, err)
	return e
}

func TestProductionReleasesACleanTagOnly(t *testing.T) {
	t.Parallel()
	released, err := release.ParseTag(tag)
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		change func(t *testing.T, dir string)
		want   string
	}{
		"clean":        {func(*testing.T, string) {}, ""},
		"changed file": {func(t *testing.T, dir string) { write(t, dir, "file") }, "changes that are not committed"},
		"new file":     {func(t *testing.T, dir string) { write(t, dir, "other") }, "changes that are not committed"},
		"tag elsewhere": {func(t *testing.T, dir string) { git(t, dir, "commit", "-q", "--allow-empty", "-m", "second") },
			"the tag is not at HEAD"},
		"no tag": {func(t *testing.T, dir string) { git(t, dir, "tag", "-d", tag) }, "the tag is not at HEAD"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := repository(t)
			tc.change(t, dir)
			c, err := production(t, dir, nil).Checkout(t.Context(), released)
			if tc.want == "" {
				require.NoError(t, err)
				require.Len(t, c.Commit, 40)
				require.Equal(t, filepath.Join(dir, "policies"), c.Policies)
				return
			}
			require.ErrorContains(t, err, tc.want)
			var f *fault.Error
			require.ErrorAs(t, err, &f)
			require.NotEmpty(t, f.Hint)
		})
	}
}

func write(t *testing.T, dir, name string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("two\n"), 0o600))
}

func TestProductionTrustsIntelAndNeedsAnIdentity(t *testing.T) {
	t.Parallel()
	e := production(t, t.TempDir(), map[string]string{"COMPATIBILITY_CATALOG_PATH": "c.json"})
	intel, err := tdx.ParseRoot(tdx.IntelRootSHA256)
	require.NoError(t, err)
	require.Equal(t, intel, e.TDXRoot)
	google, err := tdx.ParseRoot(endorsement.GoogleRootSHA256)
	require.NoError(t, err)
	require.Equal(t, google, e.GoogleRoot)
	authority, err := tdx.ParseRoot(ita.IntelRootSHA256)
	require.NoError(t, err)
	require.Equal(t, authority, e.ITA.Root)
	require.Equal(t, ita.APIURL, e.ITA.URL)
	require.Empty(t, e.ITA.Key)
	require.Empty(t, e.Banner)
	require.Equal(t, authn.Anonymous, e.RegistryAuth)
	_, err = e.Signing(t.Context(), release.Tag{}, nil)
	require.Equal(t, fault.Usage, fault.CodeOf(err))
	require.ErrorContains(t, err, "no identity to sign with")
	_, err = e.Cloud(t.Context(), nil)
	require.Equal(t, fault.Usage, fault.CodeOf(err))
	require.ErrorContains(t, err, "no project of Google Cloud")
}

func TestProductionTakesTheAppraisersAddressAndKey(t *testing.T) {
	t.Parallel()
	e := production(t, t.TempDir(), map[string]string{"ITA_API_URL": "https://api.eu.trustauthority.intel.com",
		"ITA_API_KEY": "hidden"})
	require.Equal(t, "https://api.eu.trustauthority.intel.com", e.ITA.URL)
	require.Equal(t, "hidden", e.ITA.Key.Reveal())
	require.NotContains(t, fmt.Sprintf("%+v", e), "hidden")

	_, err := environment.Production(t.TempDir(), t.TempDir(),
		&config.Config{ITAKey: "hidden", ITAURL: "https://api.trustauthority.intel.com/appraisal/v2/attest"}, nil)
	require.Equal(t, fault.Usage, fault.CodeOf(err), "before anything is built")
	require.ErrorContains(t, err, "ITA_API_URL")
}

// "Promotion of a stable release in production happens in the workflow."
func TestProductionPromotesInItsWorkflowAlone(t *testing.T) {
	t.Parallel()
	released, err := release.ParseTag(tag)
	require.NoError(t, err)
	_, err = production(t, t.TempDir(), nil).Run(t.Context(), released)
	require.Equal(t, fault.Verification, fault.CodeOf(err))
	require.ErrorContains(t, err, "promoted by its workflow alone")
	var told *fault.Error
	require.ErrorAs(t, err, &told)
	require.Contains(t, told.Expected, "release-kms-phala.yaml")
	id, err := production(t, t.TempDir(), map[string]string{"GITHUB_RUN_ID": "42"}).Run(t.Context(), released)
	require.NoError(t, err)
	require.EqualValues(t, 42, id)
	_, err = config.Load(func(name string) (string, bool) { return "12x", name == "GITHUB_RUN_ID" })
	require.Equal(t, fault.Usage, fault.CodeOf(err))
}

func TestRegistryTokenBelongsToTheOwner(t *testing.T) {
	t.Parallel()
	e := production(t, t.TempDir(), map[string]string{"GHCR_TOKEN": "secret", "GITHUB_REPOSITORY": "acme/kms"})
	auth, err := e.RegistryAuth.Authorization()
	require.NoError(t, err)
	require.Equal(t, "acme", auth.Username)
	require.Equal(t, "secret", auth.Password)
}

// Each client is made at its first use, and once; another environment with the same settings has its own.
func TestClientsAreMadeOnce(t *testing.T) {
	t.Parallel()
	e := production(t, t.TempDir(), map[string]string{"ITA_API_KEY": "hidden"})
	other := &environment.Environment{Settings: e.Settings}
	for name, client := range map[string]func(*environment.Environment) (any, error){
		"GitHub":     func(e *environment.Environment) (any, error) { return e.GitHub() },
		"Verifier":   func(e *environment.Environment) (any, error) { return e.Verifier() },
		"Appraiser":  func(e *environment.Environment) (any, error) { return e.Appraiser() },
		"Dstack":     func(e *environment.Environment) (any, error) { return e.Dstack(), nil },
		"Collateral": func(e *environment.Environment) (any, error) { return e.Collateral(), nil },
	} {
		first, err := client(e)
		require.NoError(t, err, name)
		again, err := client(e)
		require.NoError(t, err, name)
		require.Same(t, first, again, name)
		others, err := client(other)
		require.NoError(t, err, name)
		require.NotSame(t, first, others, name)
	}
	e.ITA.Key = ""
	nobody, err := e.Appraiser()
	require.NoError(t, err)
	require.Nil(t, nobody, "without a key nobody is asked")
}

// Where a commit has the platforms is asked of the repository, whatever folder it lies in.
func TestPlatforms(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		filepath.Join("/a", "b", "docker", "x.json"): "docker/x.json", "": "", "elsewhere": "",
	} {
		s := environment.Settings{Root: "/a/b", PlatformFile: file}
		require.Equal(t, want, s.Platforms())
	}
}
