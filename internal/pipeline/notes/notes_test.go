package notes_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/pipeline/notes"
	"github.com/calimero-network/mero-tee/internal/pipeline/posture"
	"github.com/calimero-network/mero-tee/internal/provider/git"
	"github.com/calimero-network/mero-tee/internal/release"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func tag(t *testing.T, s string) release.Tag {
	t.Helper()
	parsed, err := release.ParseTag(s)
	require.NoError(t, err)
	return parsed
}

func register(digit string) string { return strings.Repeat(digit, 96) }

func measured(p release.Profile, rtmr2 string) notes.Measurement {
	return notes.Measurement{Profile: string(p), MRTD: register("a"), RTMR0: register("b"), RTMR1: register("c"),
		RTMR2: register(rtmr2), Owners: measurement.OwnersOf(release.KMS)}
}

func stable(t *testing.T) notes.Input {
	previous, counterpart := tag(t, "mero-kms-v1.1.0"), tag(t, "mero-tee-v1.2.0")
	return notes.Input{
		Repository: "calimero-network/mero-tee", Tag: tag(t, "mero-kms-v1.2.0"), Previous: &previous,
		Counterpart: &counterpart,
		Commits: []git.Entry{
			{Hash: strings.Repeat("1", 40), Subject: "Refuse policies without a TCB list (#42)", Author: "Zoë", PR: 42},
			{Hash: strings.Repeat("2", 40), Subject: "feat(api)!: name the profile in /health", Author: "Ann"},
			{Hash: strings.Repeat("3", 40), Subject: "fix: bound the event log",
				Body: "Details.\n\nBREAKING CHANGE: longer logs are refused", Author: "Ann"},
		},
		Measurements: []notes.Measurement{measured(release.Debug, "d"), measured(release.DebugReadOnly, "e"),
			measured(release.LockedReadOnly, "f")},
		Before: []notes.Measurement{measured(release.Debug, "d"), measured(release.DebugReadOnly, "0")},
		Images: []notes.Image{{Profile: "debug", Reference: "ghcr.io/calimero-network/mero-kms:1.2.0-debug@sha256:" +
			strings.Repeat("a", 64)}},
	}
}

func TestGenerate(t *testing.T) {
	t.Parallel()
	first := notes.Input{Repository: "calimero-network/mero-tee", Tag: tag(t, "mero-tee-v0.1.0-rc.1"),
		Banner: "Rehearsal: simulated platforms; production roots refuse this release."}
	first.Waivers = []string{"docker/mero-kms/host-tcb.json: OutOfDate until 2026-12-31: @all <b>wait</b>"}
	hotfix := stable(t)
	hotfix.Tag, hotfix.Class, hotfix.Commits = tag(t, "mero-kms-v1.2.1"), release.Hotfix, hotfix.Commits[:1]
	written(t, "mero-kms-v1.2.1").Fill(&hotfix)
	patched := tag(t, "mero-kms-v1.2.0")
	hotfix.Previous, hotfix.Return = &patched, []notes.Image{{Profile: "debug", Reference: "ghcr.io/o/mero-kms@sha256:" +
		strings.Repeat("b", 64)}, {Profile: "locked-read-only",
		Reference: "ghcr.io/o/mero-kms@sha256:" + strings.Repeat("c", 64)}}
	all := []string{"debug", "debug-read-only", "locked-read-only"}
	hotfix.Counterparts = []notes.Counterpart{{Tag: tag(t, "mero-tee-v1.3.0"), Profiles: all},
		{Tag: tag(t, "mero-tee-v1.2.0"), Profiles: all, Tested: true},
		{Tag: tag(t, "mero-tee-v1.1.0"), Profiles: all[2:], Tested: true},
		{Tag: tag(t, "mero-tee-v1.1.0"), Profiles: all[:2]}}
	hotfix.Causes = []notes.Cause{{Profile: "debug", Register: "RTMR3",
		Event: "event compose-hash: sha256:aa, was sha256:bb"},
		{Profile: "none", Register: "RTMR3", Event: "of another profile"}}
	hotfix.Facts = []posture.Fact{{Topic: posture.TCB, Text: "policies/debug.json accepts UpToDate"},
		{Topic: posture.PolicyAge, Text: "policies/debug.json changed last on 2026-01-01, 200 days before", Heed: true}}
	full := stable(t)
	full.Class = release.Stable
	written(t, "mero-kms-v1.2.0").Fill(&full)
	node := nodeRelease(t)
	node.Causes = []notes.Cause{{Profile: "debug", Register: "RTMR0", Event: "new event: EV_EFI_VARIABLE"},
		{Profile: "debug", Register: "RTMR1", Event: "vmlinuz-6.16.1, was vmlinuz-6.16.0"}}
	candidate := stable(t)
	candidate.Tag = tag(t, "mero-kms-v1.2.0-rc.2")
	hostile := stable(t)
	hostile.Commits = nil
	for i, s := range hostileSubjects() {
		hostile.Commits = append(hostile.Commits, git.Entry{Hash: fmt.Sprintf("%040x", i), Subject: s, Author: s})
	}
	for name, in := range map[string]notes.Input{"stable": stable(t), "first-candidate": first, "hotfix": hotfix,
		"hostile": hostile, "stable-written": full, "node": node, "candidate": candidate} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			golden := filepath.Join("testdata", name+".md")
			got := notes.Generate(in)
			require.Equal(t, got, notes.Generate(in))
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), got)
		})
	}
}

// written reads a file of testdata/releases that must be in order.
func written(t *testing.T, name string) notes.Written {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "releases", name+".md"))
	require.NoError(t, err)
	class := release.Stable
	if tag(t, name).Version.Patch > 0 {
		class = release.Hotfix
	}
	w, results := notes.Read(tag(t, name), class, data)
	require.NoError(t, results.Err())
	return w
}

// nodeRelease is one in which a register of each owner changed.
func nodeRelease(t *testing.T) notes.Input {
	previous := tag(t, "mero-tee-v1.1.0")
	now := notes.Measurement{Profile: "debug", MRTD: register("1"), RTMR0: register("2"), RTMR1: register("3"),
		RTMR2: register("4"), RTMR3: register("5"), Owners: measurement.OwnersOf(release.Node),
		Bases: &[5]string{"endorsed by Google on 2026-01-15, observed (3 boots)", "observed (3 boots)",
			"predicted from the image, observed (3 boots)", "predicted from the image, observed (3 boots)", "a formula"}}
	before := notes.Measurement{Profile: "debug", MRTD: register("1"), RTMR0: register("a"), RTMR1: register("b"),
		RTMR2: register("4"), RTMR3: register("c")}
	return notes.Input{Repository: "calimero-network/mero-tee", Tag: tag(t, "mero-tee-v1.2.0"), Class: release.Stable,
		Previous:     &previous,
		Measurements: []notes.Measurement{now}, Before: []notes.Measurement{before}}
}

func hostileSubjects() []string {
	return []string{
		"<script>alert(1)</script> <img src=x onerror=y> <!-- hide",
		"[click](https://evil.example) ![i](http://evil.example/x.png) <https://evil.example>",
		"https://evil.example www.evil.example WWW.evil.example a@evil.example ftp://x",
		"@admin please merge, fixes #1, other/repo#2, GH-3",
		"`code` ``` **bold** __under__ ~~gone~~ | table | \\[x\\]",
		"# heading\n## another\r\n\n- item\n> quote\n\n---\n[ref]: https://evil.example",
		"&lt;b&gt; &#64;admin &commat;admin",
		"hidden \u202egnp.exe\u202c \u200b\u2066 zero \x1b[31m red\x00",
		"$x^2$ :smile: ==mark== [^1] {#id} (#notanumber)",
		"",
	}
}

func TestLongHistoriesFitGitHub(t *testing.T) {
	t.Parallel()
	in := stable(t)
	in.Commits = nil
	for i := range 5000 {
		in.Commits = append(in.Commits, git.Entry{Hash: fmt.Sprintf("%040x", i), Subject: strings.Repeat("a ", 5000),
			Author: fmt.Sprintf("%d %s", i, strings.Repeat("b ", 500)), PR: i})
	}
	got := notes.Generate(in)
	require.Less(t, utf8.RuneCountInString(got), notes.MaxSize)
	require.Regexp(t, `- and 4\d\d\d more commits`, got)
	require.Regexp(t, `and 4\d\d\d more\n`, got)
}

// What was taken back before the release breaks nothing; what was brought back does.
func TestRevertedChanges(t *testing.T) {
	t.Parallel()
	hash := func(c string) string { return strings.Repeat(c, 40) }
	change := git.Entry{Hash: hash("a"), Subject: "feat!: another form"}
	revert := git.Entry{Hash: hash("b"), Subject: `Revert "feat!: another form"`,
		Body: "This reverts commit " + hash("a") + "."}
	again := git.Entry{Hash: hash("c"), Subject: `Reapply "feat!: another form"`,
		Body: "This reverts commit " + hash("b") + "."}
	pull := git.Entry{Hash: hash("a"), Subject: "feat!: another form (#7)", PR: 7}
	byButton := git.Entry{Hash: hash("b"), Subject: `Revert "feat!: another form" (#8)`, PR: 8,
		Body: "Reverts calimero-network/mero-tee#7"}
	merged := []git.Entry{{Hash: hash("e"), Subject: "Merge pull request #11 from x/y", PR: 11,
		Parents: []string{hash("1"), hash("a")}}, {Hash: hash("a"), Subject: change.Subject, Parents: []string{hash("0")}},
		{Hash: hash("1"), Parents: []string{hash("0")}}, {Hash: hash("0")}}
	for name, tc := range map[string]struct {
		commits []git.Entry // the newest first
		breaks  bool
	}{
		"kept":         {[]git.Entry{change}, true},
		"reverted":     {[]git.Entry{revert, change}, false},
		"brought back": {[]git.Entry{again, revert, change}, true},
		"another's":    {[]git.Entry{{Hash: hash("d"), Body: "This reverts commit " + hash("e") + "."}, change}, true},
		"by git revert --reference": {[]git.Entry{{Hash: hash("d"),
			Body: "This reverts commit " + strings.Repeat("a", 8) + " (feat!: another form, 2026-11-01)."}, change}, false},
		"two in one": {[]git.Entry{{Hash: hash("d"), Body: "This reverts commit " + hash("e") + ".\n\nThis reverts commit " +
			hash("a") + "."}, change}, false},
		"a merge": {[]git.Entry{{Hash: hash("d"), Body: "This reverts commit " + hash("a") + ", reversing\nchanges made to " +
			hash("e") + "."}, change}, false},
		"by GitHub's button":     {[]git.Entry{byButton, pull}, false},
		"another repository's":   {[]git.Entry{{Hash: hash("d"), Body: "Reverts somebody/else#7"}, pull}, true},
		"another pull request's": {[]git.Entry{{Hash: hash("d"), Body: "Reverts calimero-network/mero-tee#71"}, pull}, true},
		"the button's, brought back": {[]git.Entry{{Hash: hash("f"), Subject: "Bring it back (#9)",
			Body: "Reverts calimero-network/mero-tee#8"}, byButton, pull}, true},
		"too short to be one": {[]git.Entry{{Hash: hash("d"), Body: "This reverts commit aaa."}, change}, true},
		"only spoken of": {[]git.Entry{{Hash: hash("d"),
			Body: "If this reverts commit " + hash("a") + ", say so."}, change}, true},
		"before it was made": {[]git.Entry{pull, byButton}, true},
		"by its title alone": {[]git.Entry{{Hash: hash("d"), Subject: `Revert "feat!: another form" (#9)`, PR: 9}, pull},
			false},
		"by a title that two have": {[]git.Entry{{Hash: hash("d"), Subject: `Revert "feat!: another form"`}, pull,
			{Hash: hash("e"), Subject: "feat!: another form"}}, true},
		"its title, brought back": {[]git.Entry{{Hash: hash("e"), Subject: `Reapply "feat!: another form" (#10)`, PR: 10},
			{Hash: hash("d"), Subject: `Revert "feat!: another form" (#9)`, PR: 9}, pull}, true},
		"with the merge that brought it": {append([]git.Entry{{Hash: hash("d"), Body: "This reverts commit " + hash("e") +
			", reversing\nchanges made to " + hash("1") + "."}}, merged...), false},
		"with the merge, by GitHub's button": {append([]git.Entry{{Hash: hash("d"),
			Body: "Reverts calimero-network/mero-tee#11"}}, merged...), false},
		"the other side of the merge": {append([]git.Entry{{Hash: hash("d"), Body: "This reverts commit " + hash("e") +
			", reversing\nchanges made to " + hash("a") + "."}}, merged...), true},
		"a merge that did not bring it": {[]git.Entry{{Hash: hash("d"), Body: "This reverts commit " + hash("e") + "."},
			{Hash: hash("e"), Parents: []string{hash("a"), hash("2")}}, {Hash: hash("2"), Parents: []string{hash("0")}},
			change}, true},
		"by an ambiguous name": {[]git.Entry{{Hash: hash("d"), Body: "This reverts commit aaaaaaaa."}, change,
			{Hash: hash("a")[1:] + "b", Subject: "another"}}, true},
	} {
		in := stable(t)
		in.Breaking, in.Commits = "", tc.commits
		_, after, _ := strings.Cut(notes.Generate(in), "## Breaking changes\n")
		section, _, _ := strings.Cut(after, "\n## ")
		require.Equal(t, tc.breaks, strings.Contains(section, "another form"), name)
	}
}

// A type is written in any case ("must not be treated as case sensitive"), and a footer with either separator.
func TestBreakingChangesHoweverTheyAreMarked(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		subject, body string
		breaks        bool
	}{
		{"Feat!: another form", "", true},
		{"FIX(api)!: another form", "", true},
		{"another form", "BREAKING CHANGE #12 of the form", true},
		{"another form", "BREAKING-CHANGE: of the form", true},
		{"another form", "breaking change: of the form", false},
		{"no!way: another form", "", false},
	} {
		in := stable(t)
		in.Breaking, in.Commits = "", []git.Entry{{Hash: strings.Repeat("a", 40), Subject: tc.subject, Body: tc.body}}
		_, after, _ := strings.Cut(notes.Generate(in), "## Breaking changes\n")
		section, _, _ := strings.Cut(after, "\n## ")
		require.Equal(t, tc.breaks, strings.Contains(section, "another form"), tc)
	}
}

// However much the catalog, the boots and the facts hold, the notes stay within GitHub's limit and say what
// they left out.
func TestLongListsAreBounded(t *testing.T) {
	t.Parallel()
	in := stable(t)
	for range 5000 {
		in.Counterparts = append(in.Counterparts, notes.Counterpart{Tag: tag(t, "mero-tee-v1.1.0"),
			Profiles: []string{"debug"}})
		in.Facts = append(in.Facts, posture.Fact{Topic: posture.TCB, Text: strings.Repeat("x ", 200)})
		in.Causes = append(in.Causes, notes.Cause{Profile: "debug", Register: "RTMR1", Event: strings.Repeat("y ", 5000)})
		in.Commits = append(in.Commits, in.Commits[0])
	}
	got := notes.Generate(in)
	require.Less(t, utf8.RuneCountInString(got), notes.MaxSize)
	for _, left := range []string{"- and 4900 more; see the catalog", "- and 4970 more\n", "- and 4960 more events",
		"more commits"} {
		require.Contains(t, got, left)
	}
}

func TestPrevious(t *testing.T) {
	t.Parallel()
	var tags []release.Tag
	for _, name := range []string{"mero-kms-v1.0.0", "mero-kms-v1.2.0-rc.1", "mero-kms-v1.2.0-rc.10",
		"mero-kms-v1.2.0-rc.9", "mero-kms-v1.10.0", "mero-tee-v1.1.0"} {
		tags = append(tags, tag(t, name))
	}
	for of, want := range map[string]string{
		"mero-kms-v1.2.0":       "mero-kms-v1.2.0-rc.10",
		"mero-kms-v1.2.0-rc.11": "mero-kms-v1.2.0-rc.10",
		"mero-kms-v1.2.0-rc.10": "mero-kms-v1.2.0-rc.9",
		"mero-kms-v1.10.0":      "mero-kms-v1.2.0-rc.10",
		"mero-kms-v2.0.0":       "mero-kms-v1.10.0",
	} {
		got := notes.Previous(tag(t, of), tags)
		require.NotNil(t, got, of)
		require.Equal(t, want, got.String(), of)
	}
	require.Nil(t, notes.Previous(tag(t, "mero-tee-v1.1.0"), tags))
}
