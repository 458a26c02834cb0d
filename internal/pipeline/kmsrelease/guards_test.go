package kmsrelease_test

import (
	"os"
	"path"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/catalog/evidence"
	"github.com/calimero-network/mero-tee/docs/releases"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline/kmsrelease"
	"github.com/calimero-network/mero-tee/internal/pipeline/releasetest"
	"github.com/calimero-network/mero-tee/internal/pipeline/report"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// refused performs the guards' step and what comes after it, and expects that
// nothing was built or published.
func refused(t *testing.T, p *releasetest.Process, dist string, code fault.Code, message string) {
	t.Helper()
	err := p.Perform(t.Context(), "kms:promote")
	require.Equal(t, code, fault.CodeOf(err), "%v", err)
	require.ErrorContains(t, err, "kms:version: ")
	require.Contains(t, p.Log.String(), message)
	require.Contains(t, p.Log.String(), "[FAIL] kms:version: ")
	require.Zero(t, p.Writes.Load())
	require.NoDirExists(t, releasetest.OnGitHub(dist, p.Release.Tag))
	require.Empty(t, releasetest.Contents(t, releasetest.Staged(dist, p.Release.Tag)))
	require.Error(t, p.Run.Perform(t.Context(), "kms:build"), "the ledger lets nothing past a guard that failed")
}

// "Fails if: tag = mero-kms-v1.3.0 but MERO_KMS_VERSION = 1.2.0".
func TestVersionDisagrees(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	for name, version := range releasetest.WrongVersions() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dist := releasetest.From(t, s.After(""))
			p := fixture.Opened(t, s.Root, dist, stable,
				releasetest.Configured(func(c *config.Config) { c.KMSVersion = version }))
			refused(t, p, dist, fault.Verification, "guard 2: version sync")
		})
	}
}

func TestCounterpartIsNotReleased(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	dist := releasetest.From(t, s.After(""))
	p := fixture.Opened(t, s.Root, dist, stable)
	p.Env.Config.TEEVersion = release.Version{Major: 9, Minor: 9, Patch: 9} // only now: the rehearsal would release it
	refused(t, p, dist, fault.Verification, "mero-tee-v9.9.9 is not released")
}

func TestCounterpartIsNotNamed(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	dist := releasetest.From(t, s.After(""))
	p := fixture.Opened(t, s.Root, dist, stable)
	p.Env.Config.TEEVersion = release.Version{}
	refused(t, p, dist, fault.Usage, "MERO_TEE_VERSION does not name the counterpart")
}

// A counterpart that does not pass its audit is none.
func TestCounterpartIsForged(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	for name, tc := range releasetest.Forgeries() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dist := releasetest.From(t, s.After(""))
			p := fixture.Opened(t, s.Root, dist, stable)
			node := release.Tag{Family: release.Node, Version: stable.Version}
			require.NoError(t, tc.Forge(filepath.Join(releasetest.OnGitHub(dist, node), release.ChecksumsAsset)))
			err := p.Perform(t.Context(), "kms:promote")
			require.Equal(t, tc.Code, fault.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, "mero-tee-v0.1.0 does not pass its audit")
			require.Zero(t, p.Writes.Load())
		})
	}
}

// hostTCB is a list of the key service's host with a waiver until the day.
func hostTCB(t *testing.T, until string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "host-tcb.json")
	require.NoError(t, os.WriteFile(path, []byte(`{
  "schema_version": "1",
  "allowed_tcb_status": [
    "UpToDate"
  ],
  "tcb_waivers": [
    {
      "status": "OutOfDate",
      "reason": "the provider updates in December",
      "until": "`+until+`"
    }
  ]
}
`), 0o600))
	return path
}

// "Expired waivers fail by name", before anything is built.
func TestAWaiverHasEnded(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	dist := releasetest.From(t, s.After(""))
	p := fixture.Opened(t, s.Root, dist, stable)
	p.Release.Checkout.HostTCB = hostTCB(t, "2026-01-31")
	refused(t, p, dist, fault.Verification,
		"docker/mero-kms/host-tcb.json: TCB waiver of OutOfDate until 2026-01-31: it has ended")
}

// A waiver that holds is said where people look.
func TestAWaiverIsShown(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	p := fixture.Opened(t, s.Root, releasetest.From(t, s.After("")), stable)
	p.Release.Checkout.HostTCB = hostTCB(t, "9999-12-31")
	require.NoError(t, p.Run.Perform(t.Context(), "kms:version"))
	const waiver = "docker/mero-kms/host-tcb.json: OutOfDate until 9999-12-31: the provider updates in December"
	require.Contains(t, p.Log.String(), "[WARN] kms:version: TCB waiver in "+waiver)
	require.Contains(t, p.Log.String(), "TCB waivers")
}

func TestPairIsNotDeclared(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	own := filepath.Join(t.TempDir(), "catalog.json")
	require.NoError(t, os.WriteFile(own, []byte(releasetest.EmptyCatalog), 0o600))
	dist := releasetest.From(t, s.After(""))
	p := fixture.Opened(t, s.Root, dist, stable)
	p.Release.Checkout.Catalog = own
	refused(t, p, dist, fault.Verification, "the pair is not in the compatibility catalog")
	r, err := steps.Recorded(dist, stable, kmsrelease.Plan())
	require.NoError(t, err)
	require.Equal(t, report.Stopped, r.Outcome.State)
	require.Contains(t, r.Outcome.Words, "kms:version failed. Nothing of it is public.")
	require.Equal(t, 1, r.Count(check.Failed), "the report of a release that failed shows which check did")
	require.Contains(t, r.Unlooked, "The public release: no audit of it is recorded.")
}

// "The policy references valid MRTDs": in a stable release every profile needs one.
func TestPolicyIsNotPromoted(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	dist := releasetest.From(t, s.After(""))
	p := fixture.Opened(t, s.Root, dist, stable)
	p.Release.Checkout.Policies = filepath.Join(s.Root, "policies") // as they are before the pull request
	refused(t, p, dist, fault.Verification, "guard 3: policy references the counterpart's measurements")
}

// "Release workflows must never set ALLOWED_MRTD": guard 4 reads them all.
func TestAllowedInWorkflow(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	root, dist := filepath.Join(t.TempDir(), "repository"), releasetest.From(t, s.After(""))
	require.NoError(t, releasetest.Repository("../../..", root))
	require.NoError(t, os.WriteFile(filepath.Join(root, ".github/workflows/other.yaml"),
		[]byte(releasetest.AllowedWorkflow), 0o600))
	refused(t, fixture.Opened(t, root, dist, stable), dist, fault.Verification, "ALLOWED_* variable")
}

// Not parallel: it changes the environment of the process.
func TestAllowedInEnvironment(t *testing.T) {
	s := fixture.Stages(t)
	t.Setenv("ALLOWED_TCB_STATUS", "OutOfDate")
	dist := releasetest.From(t, s.After(""))
	refused(t, fixture.Opened(t, s.Root, dist, stable), dist, fault.Verification,
		"the process environment overrides the policy")
}

// "Policy may be policy_not_ready" and "compatibility catalog update is
// optional": a candidate gets past what stops a stable release, and says so.
func TestCandidateIsNotPromoted(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	tag := stable
	tag.Version.Candidate = 1
	dist := releasetest.From(t, s.After(""))
	p := fixture.Opened(t, s.Root, dist, tag)
	p.Release.Checkout.Policies = filepath.Join(s.Root, "policies")
	require.NoError(t, p.Perform(t.Context(), "kms:promote"), "%s", p.Log)
	require.Contains(t, p.Log.String(), "the policy of locked-read-only is policy_not_ready")
	require.Contains(t, p.Log.String(), "stays a pre-release")
	rel, err := p.GitHub(t).ReleaseByTag(t.Context(), tag.String())
	require.NoError(t, err)
	require.True(t, rel.Prerelease)
	require.Len(t, rel.Assets, len(release.KMS.ExpectedAssets()))
	_, err = p.GitHub(t).Latest(t.Context())
	require.ErrorIs(t, err, github.ErrNotFound, "`latest` did not come about")
	require.Equal(t, []string{"Evidence of mero-kms-v0.1.0-rc.1 with mero-tee-v0.1.0"}, p.Pulls(t))
	read := func(file, branch string) string {
		data, err := p.GitHub(t).ReadFile(t.Context(), file, branch)
		require.NoError(t, err)
		return string(data)
	}
	proposed := "catalog/" + tag.String()
	require.Equal(t, read(catalog.Path, "main"), read(catalog.Path, proposed),
		"and the catalog says nothing of a candidate")
	pair := evidence.Name(tag.Version, release.Version{Minor: 1})
	_, err = evidence.Decode(pair, []byte(read(path.Join(evidence.Dir, pair), proposed)))
	require.NoError(t, err)
}

// "Branches from the stable tag being patched": a patch bump that carries main's
// newer work is no hotfix, and becomes nothing else.
func TestPatchBumpFromMain(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	root, dist := filepath.Join(t.TempDir(), "repository"), releasetest.From(t, s.After("kms:promote"))
	require.NoError(t, releasetest.Repository("../../..", root))
	require.NoError(t, releasetest.Git(root, "commit", "-q", "--allow-empty", "-m", "Newer work of main"))
	hotfix := release.Tag{Family: release.KMS, Version: release.Version{Minor: 1, Patch: 1}}
	p := fixture.Opened(t, root, dist, hotfix)
	err := p.Perform(t.Context(), "kms:promote")
	require.Equal(t, fault.Verification, fault.CodeOf(err), "%v", err)
	require.ErrorContains(t, err, "is a patch of mero-kms-v0.1.0 and carries newer work of main")
	require.Zero(t, p.Writes.Load())
	require.NoDirExists(t, releasetest.OnGitHub(dist, hotfix))
}

// The same commit, built again, is a hotfix with nothing in it; its notes say so.
func TestHotfixOfTheSameCommit(t *testing.T) {
	t.Parallel()
	releasetest.Long(t, "a release that is made a second time")
	s := fixture.Stages(t)
	dist := releasetest.From(t, s.After("kms:promote"))
	hotfix := release.Tag{Family: release.KMS, Version: release.Version{Minor: 1, Patch: 1}}
	p := fixture.Opened(t, s.Root, dist, hotfix,
		releasetest.Configured(func(c *config.Config) { c.TEEVersion = stable.Version }))
	require.NoError(t, p.Perform(t.Context(), "kms:publish"), "%s", p.Log)
	require.Contains(t, p.Log.String(), "mero-kms-v0.1.1 at ")
	require.Contains(t, p.Log.String(), "hotfix of mero-kms-v0.1.0")
	rel, err := p.GitHub(t).ReleaseByTag(t.Context(), hotfix.String())
	require.NoError(t, err)
	for _, section := range []string{"hotfix", "It patches [mero-kms-v0.1.0](", "## Rollback", "REHEARSAL-1",
		"then go back to its images:\n\n- `debug`: `", "- [mero-tee-v0.1.0](", "- RTMR3: event compose-hash: `sha256:",
		"- TCB: policies/debug.json accepts UpToDate", "- policy age: "} {
		require.Contains(t, rel.Body, section)
	}
	require.NotContains(t, p.Log.String(), "not yet, and the promotion waits for it")
}

// A release that was published and failed afterwards stays a pre-release: it is no stable release that a hotfix could
// patch, and the next number does not branch from it.
func TestAFailedReleaseIsNotPatched(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	next := release.Tag{Family: release.KMS, Version: release.Version{Minor: 1, Patch: 1}}
	for stage, class := range map[string]string{"kms:e2e": "stable", "kms:promote": "hotfix of mero-kms-v0.1.0"} {
		dist := releasetest.From(t, s.After(stage))
		p := fixture.Opened(t, s.Root, dist, next,
			releasetest.Configured(func(c *config.Config) { c.TEEVersion = stable.Version }))
		require.NoError(t, p.Perform(t.Context(), "kms:version"), "%s", p.Log)
		require.Regexp(t, "mero-kms-v0.1.1 at [0-9a-f]{12}: "+class+"\n", p.Log.String(), stage)
	}
}

// "A missing or unfilled required section stops the release before it builds."
func TestNotesThatNobodyFilledIn(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	root, dist := filepath.Join(t.TempDir(), "repository"), releasetest.From(t, s.After(""))
	require.NoError(t, releasetest.Repository("../../..", root))
	template, err := releases.Template(release.Stable, stable)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(root, releases.Path(stable)), []byte(template), 0o600))
	p := fixture.Opened(t, root, dist, stable)
	refused(t, p, dist, fault.Verification, "notes: ")
}
