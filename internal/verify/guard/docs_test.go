package guard_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/git"
	"github.com/calimero-network/mero-tee/internal/verify/guard"
)

// modified is a change of these files alone.
func modified(files ...string) guard.Proposed {
	p := guard.Proposed{Files: map[string]git.Status{}, CatalogPath: "config/pairs.json", Before: []byte(pairs()),
		After: []byte(pairs())}
	for _, f := range files {
		p.Files[f] = git.Modified
	}
	return p
}

func docs(p guard.Proposed) check.Result { return guard.Docs(p)[0] }

func TestDocsFiresForEveryReleaseRelatedPath(t *testing.T) {
	t.Parallel()
	const policies, measurements, pairing, commands, releasing = "docs/policies.md", "docs/measurements.md",
		"docs/catalog.md", "docs/commands.md", "docs/releasing.md"
	pages := []string{policies, measurements, pairing, commands, releasing, "README.md", "CHANGELOG.md",
		"docs/releases/README.md",
		"docs/releases/templates/stable.md", "docs/releases/templates.go", "docs/releases/x/mero-kms-v1.2.0.md",
		"tools/docs/policies.md"}
	for file, page := range map[string]string{
		"attestation-policy-debug.json": policies, "dist/x/attestation-policy-locked-read-only.json": policies,
		"policies/debug.json": policies, "policies/attestation-policy.schema.json": policies,
		"docs/examples/attestation-policy-debug.json": policies, "docker/mero-kms/host-tcb.json": policies,
		"published-mrtds.json": measurements, "docker/mero-kms/published-mrtds.json": measurements,
		"docker/mero-kms/dstack-platforms.json": measurements,
		"packer/node.pkr.hcl":                   measurements, "packer/packer-plugin-nodeimage/verity.go": measurements,
		"ansible/playbook.yml":                                measurements,
		"ansible/roles/agent/files/mero-agent/main.go":        measurements,
		"ansible/roles/agent/templates/mero-agent.service.j2": measurements,
		"catalog/compatibility-catalog.json":                  pairing, "compatibility-catalog.json": pairing,
		"catalog/compatibility-catalog.schema.json": pairing, "config/pairs.json": pairing,
		"scripts/release-kms.sh": commands, "release-kms.sh": commands, "scripts/build-kms-image.sh": commands,
		"magefiles/release.go":                       commands,
		".github/workflows/release-kms-phala.yaml":   releasing,
		".github/workflows/release-auditor.yaml":     releasing,
		".github/workflows/release-node-image-gcp.y": releasing,
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			r := docs(modified("internal/x.go", file))
			require.Equal(t, fault.Verification, fault.CodeOf(r.Err()))
			require.Contains(t, r.Got, file)
			require.NotContains(t, r.Got, "internal/x.go")
			require.Contains(t, r.Expected, page)
			require.Contains(t, r.Hint, page)
			for _, other := range pages {
				require.Equal(t, other == page, docs(modified(file, other)).OK(), other)
			}
			require.Equal(t, page != commands && page != releasing,
				docs(modified(file, "docs/releases/mero-kms-v1.2.0.md")).OK())
		})
	}
}

func TestDocsWantsEveryPage(t *testing.T) {
	t.Parallel()
	changed := []string{"policies/debug.json", "catalog/compatibility-catalog.json", "scripts/build-kms-image.sh",
		"docs/policies.md"}
	r := docs(modified(changed...))
	require.False(t, r.OK())
	require.Contains(t, r.Expected, "docs/catalog.md")
	require.Contains(t, r.Expected, "docs/commands.md")
	require.NotContains(t, r.Expected, "docs/policies.md")
	require.NotContains(t, r.Got, "policies/debug.json")
	require.Equal(t, check.Passed, docs(modified(append(changed, "docs/catalog.md", "docs/commands.md")...)).Status)
}

func TestDocsIgnoresWhatReleasesNothing(t *testing.T) {
	t.Parallel()
	require.Equal(t, check.NotApplicable("guard 1: docs", "no release-related file changed"),
		docs(modified("internal/kms/kms.go", "policies/policy.go", "ansible/README.md",
			"ansible/roles/agent/files/mero-agent/main_test.go", "packer/packer-plugin-nodeimage/testdata/x.json",
			"scripts/README.md", ".github/workflows/ci.yaml")))
}

// pairs is a catalog; each entry is "KMS NODE TESTED PROFILE…".
func pairs(entries ...string) string {
	var list []string
	for _, e := range entries {
		f := strings.Fields(e)
		list = append(list, `{"kms":"`+f[0]+`","node_image":"`+f[1]+`","profiles":["`+strings.Join(f[3:], `","`)+
			`"],"tested":`+f[2]+`,"notes":""}`)
	}
	return `{"schema_version":"1","entries":[` + strings.Join(list, ",") + `]}`
}

// repo is a git repository whose main branch has some files, and which stands on a topic branch.
type repo struct {
	t   *testing.T
	dir string
}

func begin(t *testing.T, files map[string]string) *repo {
	t.Helper()
	r := &repo{t, t.TempDir()}
	r.git("init", "-q", "-b", "main")
	r.write(files)
	r.commit()
	r.git("switch", "-q", "-c", "topic")
	return r
}

func (r *repo) git(args ...string) {
	r.t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...)
	cmd.Env = git.Environment()
	cmd.Dir = r.dir
	out, err := cmd.CombinedOutput()
	require.NoError(r.t, err, "%s", out)
}

func (r *repo) write(files map[string]string) {
	r.t.Helper()
	for name, text := range files {
		path := filepath.Join(r.dir, name)
		if text == "" {
			require.NoError(r.t, os.Remove(path))
			continue
		}
		require.NoError(r.t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(r.t, os.WriteFile(path, []byte(text), 0o600))
	}
}

func (r *repo) commit() {
	r.t.Helper()
	r.git("add", "-A")
	r.git("commit", "-q", "--allow-empty", "-m", "change")
}

// judge is guard 1 over what the topic branch changes; "" deletes a file.
func (r *repo) judge(change map[string]string, catalogPath string) check.Results {
	r.t.Helper()
	r.write(change)
	r.commit()
	p, err := guard.ProposedSince(r.t.Context(), r.dir, "main", catalogPath)
	require.NoError(r.t, err)
	return guard.Docs(p)
}

const (
	releaseWorkflow = ".github/workflows/release-kms-phala.yaml"
	before          = "on: push\njobs:\n  a:\n    steps:\n      - uses: actions/checkout@v5 # v5\n      - run: mage a\n"
)

func TestDocsOfAChange(t *testing.T) {
	t.Parallel()
	const notes, page = "docs/releases/mero-kms-v1.1.0.md", "docs/catalog.md"
	const listed = "1.0.0 1.0.0 false debug locked-read-only"
	base := map[string]string{catalog.Path: pairs(listed), "policies/debug.json": "{}", "docs/policies.md": "# P\n",
		page: "# C\n", releaseWorkflow: before, notes: "# mero-kms-v1.1.0\n", "elsewhere.json": pairs(listed)}
	const pass, fail, na = check.Passed, check.Failed, check.Inapplicable
	for name, tc := range map[string]struct {
		change      map[string]string
		docs, pairs check.Status
		code        fault.Code
		says        string
		path        string
	}{
		"nothing of a release": {map[string]string{"a.go": "package a\n"}, na, na, 0, "", ""},
		"a policy deleted, silently": {map[string]string{"policies/debug.json": ""}, fail, na, fault.Verification,
			"policies/debug.json", ""},
		"a policy deleted, with its page": {map[string]string{"policies/debug.json": "", "docs/policies.md": "# Q\n"},
			pass, na, 0, "", ""},
		"a policy changed and its page deleted": {map[string]string{"policies/debug.json": "[]", "docs/policies.md": ""},
			fail, na, fault.Verification, "docs/policies.md", ""},
		"a policy renamed": {map[string]string{"policies/debug.json": "", "policies/open.json": "{}"}, fail, na,
			fault.Verification, "policies/debug.json, policies/open.json", ""},
		"a policy moved out of sight": {map[string]string{"policies/debug.json": "", "old/debug.txt": "{}"}, fail, na,
			fault.Verification, "policies/debug.json", ""},
		"the page renamed": {map[string]string{"policies/debug.json": "[]", "docs/policies.md": "", "docs/p.md": "# P\n"},
			fail, na, fault.Verification, "", ""},
		"a page of other spaces": {map[string]string{"policies/debug.json": "[]", "docs/policies.md": "#  P\n\n"},
			fail, na, fault.Verification, "docs/policies.md", ""},
		"a page with another comment": {map[string]string{"policies/debug.json": "[]",
			"docs/policies.md": "# P\n<!-- x -->\n"}, fail, na, fault.Verification, "docs/policies.md", ""},
		"an empty page": {map[string]string{"policies/debug.json": "[]", "docs/policies.md": "\n"},
			fail, na, fault.Verification, "docs/policies.md", ""},
		"empty notes": {map[string]string{"policies/debug.json": "[]", "docs/releases/mero-kms-v1.2.0.md": "<!-- later\n"},
			fail, na, fault.Verification, "docs/policies.md", ""},
		"a pair that a comment of the notes names": {map[string]string{catalog.Path: pairs("1.1.0 1.0.0 false debug", listed),
			notes: "# mero-kms-v1.1.0\n\n<!-- mero-kms-v1.1.0 works with\n  mero-tee-v1.0.0. -->\n", page: "# D\n"}, pass, fail,
			fault.Verification, "mero-kms-v1.1.0 with mero-tee-v1.0.0", ""},
		"an action's pin": {map[string]string{releaseWorkflow: strings.Replace(before, "v5 # v5", "v6 # v6", 1)}, na, na, 0,
			"only the pinned versions of actions changed", ""},
		"another action": {map[string]string{releaseWorkflow: strings.Replace(before, "actions/", "evil/", 1)},
			fail, na, fault.Verification, "docs/releasing.md", ""},
		"a pin and a command": {map[string]string{releaseWorkflow: strings.NewReplacer("@v5", "@v6", "mage a", "mage b").
			Replace(before)}, fail, na, fault.Verification, "docs/releasing.md", ""},
		"a pin and a line more": {map[string]string{releaseWorkflow: strings.Replace(before, "v5 # v5", "v6", 1) + "# x\n"},
			fail, na,
			fault.Verification, "docs/releasing.md", ""},
		"a pin, and a policy": {map[string]string{releaseWorkflow: strings.Replace(before, "v5 # v5", "v6", 1),
			"policies/debug.json": "[]"}, fail, na, fault.Verification, "policies/debug.json", ""},
		"a pair that nothing names": {map[string]string{catalog.Path: pairs("1.1.0 1.0.0 false debug", listed),
			page: "# D\n"}, pass, fail, fault.Verification, "mero-kms-v1.1.0 with mero-tee-v1.0.0", ""},
		"a pair that the page alone names": {map[string]string{catalog.Path: pairs("1.1.0 1.0.0 false debug", listed),
			page: "mero-kms-v1.1.0 with mero-tee-v1.0.0\n"}, pass, fail, fault.Verification, "", ""},
		"a pair that old notes name": {map[string]string{catalog.Path: pairs("1.1.0 1.0.0 false debug", listed),
			notes: "# mero-kms-v1.1.0\n\n- mero-kms-v1.1.0 with mero-tee-v1.0.0-rc.1\n"}, pass, fail,
			fault.Verification, "", ""},
		"a pair that the notes name": {map[string]string{catalog.Path: pairs("1.1.0 1.0.0 false debug", listed),
			notes: "# mero-kms-v1.1.0\n\n- mero-kms-v1.1.0 works with\n  mero-tee-v1.0.0.\n"}, pass, pass, 0, "", ""},
		"tested, and the notes name another profile": {map[string]string{
			catalog.Path: pairs("1.0.0 1.0.0 true debug", "1.0.0 1.0.0 false locked-read-only"),
			notes:        "- mero-kms-v1.0.0 with mero-tee-v1.0.0: locked-read-only, debug-read-only\n"}, pass, fail,
			fault.Verification, "tested in debug", ""},
		"tested, and the notes say so": {map[string]string{
			catalog.Path: pairs("1.0.0 1.0.0 true debug", "1.0.0 1.0.0 false locked-read-only"),
			notes:        "- mero-kms-v1.0.0 with mero-tee-v1.0.0: debug\n"}, pass, pass, 0, "", ""},
		"a pair taken out, with its page": {map[string]string{catalog.Path: pairs(), page: "# D\n"}, pass, pass, 0, "", ""},
		"the catalog deleted": {map[string]string{catalog.Path: "", page: "# D\n"}, pass, fail, fault.MissingAsset,
			"there is no compatibility catalog", ""},
		"a catalog that cannot be read": {map[string]string{catalog.Path: "{", page: "# D\n"}, pass, fail,
			fault.Verification, "after the change", ""},
		"a catalog elsewhere": {map[string]string{"elsewhere.json": pairs("1.1.0 1.0.0 false debug", listed), page: "# D\n"},
			pass, fail, fault.Verification, "mero-kms-v1.1.0 with mero-tee-v1.0.0", "elsewhere.json"},
		"a catalog that is not there": {map[string]string{"a.go": "package a\n"}, na, fail, fault.MissingAsset,
			"none.json", "none.json"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.path == "" {
				tc.path = catalog.Path
			}
			results := begin(t, base).judge(tc.change, tc.path)
			require.Len(t, results, 2)
			require.Equal(t, tc.docs, results[0].Status, "%+v", results[0])
			require.Equal(t, tc.pairs, results[1].Status, "%+v", results[1])
			require.Equal(t, tc.code, fault.CodeOf(results.Err()))
			said := ""
			for _, r := range results {
				said += r.Reason + r.Expected + r.Got
			}
			require.Contains(t, said, tc.says)
		})
	}
}

// writes gives a page other bytes.
func writes(text string) func(page string) {
	return func(page string) { _ = os.WriteFile(page, []byte(text), 0o600) } // whether it did, the guard's result shows
}

// A page that only has another mode, became a link, or gained what nobody sees, explains nothing.
func TestAPageThatSaysWhatItSaid(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(page string){
		"a mode": func(page string) { require.NoError(t, os.Chmod(page, 0o755)) },
		"a link": func(page string) {
			require.NoError(t, os.Remove(page))
			require.NoError(t, os.Symlink("other.md", page))
		},
		"a definition":           writes("# P\n\n[//]: # (why the policy changed)\n"),
		"a definition in a list": writes("# P\n\n- [why]: /x \"the policy changed\"\n"),
		"an invisible character": writes("# P\u200b\n"),
		"a soft hyphen":          writes("# P&shy;\n&ZeroWidthSpace;\n"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := begin(t, map[string]string{catalog.Path: pairs(), "policies/debug.json": "{}", "docs/policies.md": "# P\n",
				"docs/other.md": "# Another\n"})
			change(filepath.Join(r.dir, "docs/policies.md"))
			results := r.judge(map[string]string{"policies/debug.json": "[]"}, catalog.Path)
			require.Equal(t, check.Failed, results[0].Status)
			require.Contains(t, results[0].Expected, "docs/policies.md")
		})
	}
}

// A footnote and a word in code are read.
func TestAPageThatSaysMore(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"# P\n\nSee[^1].\n\n[^1]: why it changed\n", "# P\n\n`why`\n", "# P\n\n[why](x)\n"} {
		r := begin(t, map[string]string{catalog.Path: pairs(), "policies/debug.json": "{}", "docs/policies.md": "# P\n"})
		results := r.judge(map[string]string{"policies/debug.json": "[]", "docs/policies.md": text}, catalog.Path)
		require.Equal(t, check.Passed, results[0].Status, text)
	}
}

// A catalog that was broken vouches for nothing: its mend names every pair.
func TestTheMendOfABrokenCatalog(t *testing.T) {
	t.Parallel()
	const notes = "docs/releases/mero-kms-v1.0.0.md"
	mend := map[string]string{catalog.Path: pairs("1.0.0 1.0.0 false debug"), notes: "# mero-kms-v1.0.0\n"}
	results := begin(t, map[string]string{catalog.Path: "{"}).judge(mend, catalog.Path)
	require.Equal(t, fault.Verification, fault.CodeOf(results.Err()))
	require.Contains(t, results[1].Reason, "the catalog before the change cannot be read")
	mend[notes] += "\n- mero-kms-v1.0.0 with mero-tee-v1.0.0: declared\n"
	require.NoError(t, begin(t, map[string]string{catalog.Path: "{"}).judge(mend, catalog.Path).Err())
}

func TestTheBaseOfAChange(t *testing.T) {
	t.Parallel()
	r := begin(t, map[string]string{catalog.Path: pairs()})
	for _, base := range []string{"none", strings.Repeat("0", 40), ""} {
		_, err := guard.ProposedSince(t.Context(), r.dir, base, catalog.Path)
		require.Equal(t, fault.Usage, fault.CodeOf(err), base)
	}
	// What the base got meanwhile is not this change's.
	r.git("switch", "-q", "main")
	r.write(map[string]string{catalog.Path: pairs("1.0.0 1.0.0 false debug"), "policies/debug.json": "{}"})
	r.commit()
	r.git("switch", "-q", "topic")
	require.NoError(t, r.judge(map[string]string{"a.go": "package a\n"}, catalog.Path).Err())
}
