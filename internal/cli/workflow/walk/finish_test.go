package walk_test

import (
	"errors"
	"slices"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/rehearsal/actions"
	"github.com/calimero-network/mero-tee/internal/release"
)

// finished looks at a run that has succeeded, and at what it released.
func (w *walk) finished(r *actions.Run) {
	w.t.Helper()
	require.Equal(w.t, actions.Success, r.Result(), r.Tag)
	tag, err := release.ParseTag(r.Tag)
	require.NoError(w.t, err)
	promoted, proposed := actions.Success, actions.Skipped
	if !tag.Stable() {
		promoted, proposed = proposed, promoted
	}
	require.Equal(w.t, promoted, r.Job("promote").Result, r.Tag)
	require.Equal(w.t, proposed, r.Job("propose").Result, r.Tag)
	if w.moving != nil {
		w.told(r.Job("promote"))
	}
	for _, j := range r.Jobs() {
		w.quiet(j)
		w.reached(j)
	}
	public, err := w.gitHub().ReleaseByTag(w.t.Context(), r.Tag)
	require.NoError(w.t, err)
	require.Equal(w.t, !tag.Stable(), public.Prerelease, r.Tag)
	require.Len(w.t, public.Assets, len(tag.Family.ExpectedAssets()), r.Tag)
	latest, err := w.gitHub().Latest(w.t.Context())
	if tag.Stable() {
		require.NoError(w.t, err)
		require.Equal(w.t, r.Tag, latest.TagName)
	}
}

// unfinished: what failed is not promoted.
func (w *walk) unfinished(tag string) {
	w.t.Helper()
	public, err := w.gitHub().ReleaseByTag(w.t.Context(), tag)
	if errors.Is(err, github.ErrNotFound) {
		return
	}
	require.NoError(w.t, err)
	require.True(w.t, public.Prerelease, tag)
}

func (w *walk) gitHub() *github.Client {
	w.t.Helper()
	c, err := w.world.Env.GitHub()
	require.NoError(w.t, err)
	return c
}

// expected are warnings that a candidate's release may have.
var expected = []string{
	"nothing to test with", "policy_not_ready", "advisory", "stays a pre-release", "E2E did not pass",
	"no catalog entry is proposed",
}

// publicRoot is what the doctor warns of here: the repository carries the root of Sigstore's public instance, and the
// walk's Sigstore has one of its own.
const publicRoot = "the key service's trusted root: not Sigstore's of today"

// quiet: no step warns of what its job cannot do, such as asking where it has no credentials.
func (w *walk) quiet(j *actions.Job) {
	w.t.Helper()
	for _, line := range j.Log {
		if !strings.HasPrefix(line, "::warning::") && !strings.HasPrefix(line, "::error::") {
			continue
		}
		known := slices.ContainsFunc(expected, func(words string) bool { return strings.Contains(line, words) })
		known = known || j.Name == "build" && strings.Contains(line, publicRoot) // the key service's job
		known = known || w.moving != nil && j.Name == "promote" && strings.Contains(line, "counts for this release")
		assert.True(w.t, known, "%s %s: %s", j.Run().Tag, j.Name, line)
	}
}

// gitHubs are GitHub's own hosts.
var gitHubs = []string{"api.github.com", "uploads.github.com", "github.com", "release-assets.githubusercontent.com",
	"raw.githubusercontent.com"}

// told: what moved during the approval is said, and that it changes nothing.
func (w *walk) told(promote *actions.Job) {
	w.t.Helper()
	log := strings.Join(promote.Log, "\n")
	for _, says := range []string{`MERO_TEE_VERSION is "9.0.0" here, and was "1.0.0" when it was judged`,
		`MERO_KMS_VERSION is not valid here`, `GHCR_REGISTRY is "ghcr.io/other" here`,
		"a variable that is set in a GitHub environment reaches the jobs of that environment alone"} {
		require.Contains(w.t, log, says)
	}
}

// reached: what promotes needs nobody but GitHub, and what makes something of sources asks nobody to sign or to run it.
func (w *walk) reached(j *actions.Job) {
	w.t.Helper()
	var never []string
	switch j.Name {
	case "promote", "propose":
		for _, host := range j.Hosts {
			assert.Contains(w.t, gitHubs, host, "%s: the promotion asks a third party", j.Run().Tag)
		}
	case "version", "build":
		never = []string{"compute.googleapis.com", companions, "cloud-api.rehearsal.invalid", actions.IdentityHost}
	case "image (debug)", "image (debug-read-only)", "image (locked-read-only)":
		never = []string{"cloud-api.rehearsal.invalid", "uploads.github.com", actions.IdentityHost}
	}
	for _, host := range never {
		assert.NotContains(w.t, j.Hosts, host, "%s: %s", j.Run().Tag, j.Name)
	}
	w.t.Logf("%s: %s reached %s", j.Run().Tag, j.Name, strings.Join(j.Hosts, " "))
}
