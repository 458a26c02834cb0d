package plan_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline/notes"
	"github.com/calimero-network/mero-tee/internal/pipeline/plan"
	"github.com/calimero-network/mero-tee/internal/pipeline/posture"
	"github.com/calimero-network/mero-tee/internal/provider/git"
	"github.com/calimero-network/mero-tee/internal/release"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const base, head = "1111111111111111111111111111111111111111", "2222222222222222222222222222222222222222"

func subject(t *testing.T, tag string, others ...string) plan.Subject {
	t.Helper()
	parsed, err := release.ParseTag(tag)
	require.NoError(t, err)
	s := plan.Subject{Tag: parsed, Commit: head, Tags: map[string]string{}}
	for _, name := range others {
		s.Tags[name] = base
		other, err := release.ParseTag(name)
		require.NoError(t, err)
		s.Stable = append(s.Stable, other)
	}
	return s
}

func guardedFixture(n int) []git.Change {
	diff := []git.Change{{Path: "ansible/roles/agent/tasks/main.yml", Added: 1, Deleted: 1},
		{Path: "internal/kms/gate.go", Added: 10, Deleted: 2},
		{Path: "logos/logo\x1b.png", Binary: true}, {Path: "policies/debug.json", Added: 4}}
	for i := range n {
		diff = append(diff, git.Change{Path: fmt.Sprintf("x/%03d", i), Added: 1})
	}
	return diff
}

// branch is a history in which every commit is a fix on a branch of its own.
type branch struct{ diff []git.Change }

func (branch) Descends(context.Context, string, string) (bool, error)     { return true, nil }
func (branch) MainWork(context.Context, string, string) ([]string, error) { return nil, nil }
func (b branch) Changes(context.Context, string, string) ([]git.Change, error) {
	return b.diff, nil
}

func statement(s plan.Subject, c release.Class, guarded ...string) []byte {
	return notes.Statement(s.Tag, c, "Said.", "CVE-2026-12345", guarded...)
}

func TestPlan(t *testing.T) {
	t.Parallel()
	stable, candidate := subject(t, "mero-kms-v1.3.0", "mero-kms-v1.2.0"), subject(t, "mero-tee-v1.3.0-rc.1")
	hotfix := subject(t, "mero-kms-v1.2.1", "mero-kms-v1.2.0", "mero-kms-v1.3.0")
	rebuild := subject(t, "mero-tee-v1.2.1", "mero-tee-v1.2.0")
	rebuild.Tags["mero-tee-v1.2.0"] = rebuild.Commit
	for name, tc := range map[string]struct {
		subject plan.Subject
		file    []byte
		diff    []git.Change
		ready   bool
	}{
		"stable":           {stable, statement(stable, release.Stable), nil, true},
		"stable-absent":    {stable, nil, nil, false},
		"stable-unwritten": {stable, []byte("# mero-kms-v1.3.0\n\n## Breaking changes\n\nTODO: what breaks\n"), nil, false},
		"candidate":        {candidate, nil, nil, true},
		"hotfix": {hotfix, statement(hotfix, release.Hotfix, "policies/debug.json", "ansible/roles/agent/tasks",
			"internal/kms", "logos"), guardedFixture(0), true},
		"hotfix-unexplained": {hotfix, statement(hotfix, release.Hotfix, "ansible/roles"), guardedFixture(60), false},
		"hotfix-absent":      {hotfix, nil, []git.Change{{Path: "internal/kms/gate.go", Added: 1}}, false},
		"rebuild":            {rebuild, statement(rebuild, release.Hotfix), nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := plan.Prepare(t.Context(), tc.subject, tc.file, branch{tc.diff})
			require.NoError(t, err)
			require.Equal(t, tc.ready, p.Err() == nil, p.Err())
			var got bytes.Buffer
			require.NoError(t, p.Write(&got))
			golden := filepath.Join("testdata", name+".txt")
			if *update {
				require.NoError(t, os.WriteFile(golden, got.Bytes(), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), got.String())
		})
	}
}

func TestPlanIsAskedForWhatCannotBe(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	_, err := plan.Prepare(t.Context(), r.subject("mero-kms-v1.2.1"), nil, plan.Repository(r.dir))
	require.ErrorContains(t, err, "carries newer work of main")
}

// What a caller looked at besides counts, by the rules of the class.
func TestPlanTakesFurtherChecks(t *testing.T) {
	t.Parallel()
	stable, candidate := subject(t, "mero-kms-v1.3.0"), subject(t, "mero-kms-v1.3.0-rc.1")
	for _, tc := range []struct {
		subject plan.Subject
		file    []byte
		extra   check.Result
		code    fault.Code
	}{
		{stable, statement(stable, release.Stable), check.Pass("guard"), 0},
		{stable, statement(stable, release.Stable), check.Skip("guard", "no network"), fault.Verification},
		{stable, statement(stable, release.Stable), check.Fail("guard", fault.MissingAsset, "r", "e", "g"),
			fault.MissingAsset},
		{candidate, nil, check.Skip("guard", "no network"), 0},
		{candidate, nil, check.Fail("guard", fault.MissingAsset, "r", "e", "g"), fault.MissingAsset},
	} {
		p, err := plan.Prepare(t.Context(), tc.subject, tc.file, branch{})
		require.NoError(t, err)
		p.Checks = append(p.Checks, tc.extra)
		p.Waivers = []string{"policies/debug.json: OutOfDate until 2026-12-31: the \x1bfleet"}
		p.Facts = []posture.Fact{posture.Unlooked(posture.BaseImage, "the \x1bfamily", "no network")}
		var shown bytes.Buffer
		require.NoError(t, p.Write(&shown))
		require.Contains(t, shown.String(), "\nTCB waivers\n  policies/debug.json: OutOfDate until 2026-12-31: the ")
		require.Contains(t, shown.String(), "\nWhat it stands on\n  base image: could not look at the ")
		require.NotContains(t, shown.String(), "\x1b")
		require.Equal(t, tc.code, fault.CodeOf(p.Err()))
		var b bytes.Buffer
		require.NoError(t, p.Write(&b))
		require.Equal(t, tc.code != 0, strings.Contains(b.String(), "  guard: "), b.String())
	}
}

func TestRulesFollowTheSpec(t *testing.T) {
	t.Parallel()
	for _, c := range []release.Class{release.Stable, release.Candidate, release.Hotfix} {
		r := plan.RulesOf(c)
		candidate := c == release.Candidate
		require.Equal(t, candidate, r.PolicyNotReady, c)
		require.Equal(t, candidate, r.SkippedChecks, c)
		require.Equal(t, !candidate, r.E2EBlocks && r.Approval && r.Promoted && r.FullNotes, c)
		require.Equal(t, c == release.Hotfix, r.MinimalDiff, c)
		require.Equal(t, notes.Required(c), r.Sections, c)
	}
	require.Equal(t, plan.RulesOf(release.Stable), plan.RulesOf("other"), "what is not known gets no easier rules")
	require.Equal(t, plan.CatalogRequired, plan.RulesOf(release.Stable).Catalog)
	require.Equal(t, plan.CatalogOptional, plan.RulesOf(release.Candidate).Catalog)
	require.Equal(t, plan.CatalogFollowsMRTD, plan.RulesOf(release.Hotfix).Catalog)
}
