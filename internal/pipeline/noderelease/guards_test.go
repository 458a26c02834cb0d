package noderelease_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/pipeline/releasetest"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// unbuilt are images of which none may be made.
type unbuilt struct {
	image.Images
	t *testing.T
}

func (u unbuilt) Build(context.Context, image.BuildRequest) (*image.Record, error) {
	u.t.Error("an image was built past a guard that failed")
	return nil, os.ErrInvalid
}

// refused performs the guards' step and what comes after it, and expects that
// nothing was built or published.
func refused(t *testing.T, p *process, dist string, code fault.Code, message string) {
	t.Helper()
	p.Env.Images = unbuilt{p.Env.Images, t}
	err := p.Perform(t.Context(), "node:promote")
	require.Equal(t, code, fault.CodeOf(err), "%v", err)
	require.ErrorContains(t, err, "node:version: ")
	require.Contains(t, p.Log.String(), message)
	require.Contains(t, p.Log.String(), "[FAIL] node:version: ")
	require.Error(t, p.Run.PerformTarget(t.Context(), "node:build", ""),
		"the ledger lets nothing past a guard that failed")
	requireUnpublished(t, p, dist)
	require.Empty(t, releasetest.Contents(t, releasetest.Staged(dist, p.Release.Tag)))
}

func requireUnpublished(t *testing.T, p *process, dist string) {
	t.Helper()
	require.Zero(t, p.Writes.Load())
	require.NoDirExists(t, releasetest.OnGitHub(dist, p.Release.Tag))
}

// "Tag equals MERO_TEE_VERSION."
func TestVersionDisagrees(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	for name, version := range releasetest.WrongVersions() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dist := releasetest.From(t, s.After(""))
			p := opened(t, s.Root, dist, stable, configured(func(c *config.Config) { c.TEEVersion = version }))
			refused(t, p, dist, fault.Verification, "guard 2: version sync")
		})
	}
}

func TestCounterpartIsNotReleased(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	dist := releasetest.From(t, s.After(""))
	p := opened(t, s.Root, dist, stable)
	p.Env.Config.KMSVersion = release.Version{Major: 9, Minor: 9, Patch: 9} // only now: the rehearsal would release it
	refused(t, p, dist, fault.Verification, "mero-kms-v9.9.9 is not released")
}

func TestCounterpartIsNotNamed(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	dist := releasetest.From(t, s.After(""))
	p := opened(t, s.Root, dist, stable)
	p.Env.Config.KMSVersion = release.Version{}
	refused(t, p, dist, fault.Usage, "MERO_KMS_VERSION does not name the counterpart")
}

// A counterpart that does not pass its audit is none.
func TestCounterpartIsForged(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	for name, tc := range releasetest.Forgeries() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dist := releasetest.From(t, s.After(""))
			p := opened(t, s.Root, dist, stable)
			require.NoError(t, tc.Forge(filepath.Join(releasetest.OnGitHub(dist, counterpart),
				release.PolicyAsset(release.Debug))))
			err := p.Perform(t.Context(), "node:promote")
			require.Equal(t, tc.Code, fault.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, "mero-kms-v0.0.9 does not pass its audit")
			requireUnpublished(t, p, dist)
		})
	}
}

func TestPairIsNotDeclared(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	own := filepath.Join(t.TempDir(), "catalog.json")
	require.NoError(t, os.WriteFile(own, []byte(releasetest.EmptyCatalog), 0o600))
	dist := releasetest.From(t, s.After(""))
	p := opened(t, s.Root, dist, stable)
	p.Release.Checkout.Catalog = own
	refused(t, p, dist, fault.Verification, "the pair is not in the compatibility catalog")
}

// "Every tuple in the counterpart's policies comes from a node release that exists."
func TestPolicyNamesANodeReleaseThatDoesNotExist(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	dist := releasetest.From(t, s.After(""))
	forget(t, dist, "mero-tee-v0.0.9")
	p := opened(t, s.Root, dist, stable)
	refused(t, p, dist, fault.Verification, "names a node release that does not exist")
}

// forget takes a release out of the local GitHub.
func forget(t *testing.T, dist, tag string) {
	t.Helper()
	path := filepath.Join(dist, "rehearsal", "github", "state.json")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	var state map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(data, &state))
	var list []json.RawMessage
	require.NoError(t, json.Unmarshal(state["releases"], &list))
	before := len(list)
	list = slices.DeleteFunc(list, func(r json.RawMessage) bool {
		var said struct {
			Tag string `json:"tag_name"`
		}
		require.NoError(t, json.Unmarshal(r, &said))
		return said.Tag == tag
	})
	require.Len(t, list, before-1)
	state["releases"], err = json.Marshal(list)
	require.NoError(t, err)
	data, err = json.Marshal(state)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, data, 0o600))
}

// "Release workflows must never set ALLOWED_MRTD": guard 4 reads them all.
func TestAllowedInWorkflow(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	root, dist := filepath.Join(t.TempDir(), "repository"), releasetest.From(t, s.After(""))
	require.NoError(t, releasetest.Repository("../../..", root))
	require.NoError(t, os.WriteFile(filepath.Join(root, ".github/workflows/other.yaml"),
		[]byte(releasetest.AllowedWorkflow), 0o600))
	refused(t, opened(t, root, dist, stable), dist, fault.Verification, "ALLOWED_* variable")
}
