package workflow_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rhysd/actionlint"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/signature"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/clearance"
)

const (
	kms     = "release-kms-phala.yaml"
	node    = "release-node-image-gcp.yaml"
	auditor = "release-auditor.yaml"
	guard   = "pr-doc-guard.yaml"
	ci      = "ci.yaml"
	nightly = "node-boot.yaml"
	weekly  = "fuzz.yaml"
)

// saysVerdicts is the auditor's one right to write.
const saysVerdicts = "      statuses: write # the verdict, on the release's commit\n"

func TestWorkflows(t *testing.T) {
	t.Parallel()
	all := sources(t)
	require.ElementsMatch(t, []string{kms, node, auditor, guard, ci, nightly, weekly}, slices.Collect(maps.Keys(all)))
	for name, source := range all {
		require.Empty(t, judge(t, name, source), name)
	}
}

// The identity that the verifier wants is the workflow of the family, run for the tag.
func TestTheVerifiersIdentityIsAWorkflow(t *testing.T) {
	t.Parallel()
	all := sources(t)
	for _, f := range release.Families() {
		require.Contains(t, all, f.Workflow())
		tag := release.Tag{Family: f, Version: release.Version{Major: 1, Minor: 2}}
		id := signature.Identity{Repository: "o/r", Workflow: f.Workflow(), Tag: tag}
		require.Equal(t, "https://github.com/o/r/.github/workflows/"+f.Workflow()+"@refs/tags/"+string(f)+"-v1.2.0", id.SAN())
		require.Contains(t, all[f.Workflow()], `tags: ["`+string(f)+`-v*"]`)
	}
}

// One action has one version everywhere.
func TestOneVersionOfEachAction(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for name, source := range sources(t) {
		for line := range strings.Lines(source) {
			if _, action, ok := strings.Cut(strings.TrimSpace(line), "uses: "); ok {
				which, at, _ := strings.Cut(action, "@")
				if have, ok := seen[which]; ok {
					require.Equal(t, have, at, "%s in %s", which, name)
				}
				seen[which] = at
			}
		}
	}
	require.NotEmpty(t, seen)
}

// The pages and the auditor speak of these.
func TestWhatRunsWhen(t *testing.T) {
	t.Parallel()
	all := sources(t)
	for _, want := range []string{"workflows: [release-kms-phala, release-node-image-gcp]", "types: [published]", "cron:",
		"workflow_dispatch:"} {
		require.Contains(t, all[auditor], want)
	}
	require.NotContains(t, all[auditor], "conclusion", "what an event asks for is decided in Go: cli.taskOf")
	require.NotContains(t, all[auditor], "if:", "likewise: a run that failed may have left a public release")
	require.NotContains(t, all[guard], "paths:", "a required check reports on every pull request")
	for _, p := range release.Profiles() {
		require.Regexp(t, `profile: \[.*\b`+string(p)+`\b.*\]`, all[node])
	}
}

// What a release wants of its commit runs on every commit that may be tagged,
// under the name that it wants, and ends in the time that it waits.
func TestCIRunsWhereAReleaseLooksForIt(t *testing.T) {
	t.Parallel()
	for i, name := range []string{ci, guard} {
		flow, errs := actionlint.Parse([]byte(sources(t)[name]))
		require.Empty(t, errs)
		var events []string
		for _, e := range flow.On {
			hook := e.(*actionlint.WebhookEvent)
			events = append(events, e.EventName()+" "+strings.Join(patterns(hook.Branches), " "))
		}
		require.ElementsMatch(t, []string{"pull_request ", "push main hotfix/**"}, events, name)
		require.Len(t, flow.Jobs, 1)
		job := flow.Jobs[clearance.Own()[i]]
		require.NotNil(t, job, "%s has no job of the required name", name)
		require.Nil(t, job.Name, "a check is called as its job")
		require.LessOrEqual(t, minutes(job), steps.CIEnds, name)
	}
	for name, first := range map[string]string{kms: "build", node: "version"} {
		flow, errs := actionlint.Parse([]byte(sources(t)[name]))
		require.Empty(t, errs)
		require.Greater(t, minutes(flow.Jobs[first]), steps.CIEnds, "%s ends before it has waited", name)
	}
}

func minutes(job *actionlint.Job) time.Duration {
	return time.Duration(job.TimeoutMinutes.Value * float64(time.Minute))
}

// Every rule fires on a workflow that breaks it.
func TestEveryRuleFires(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ workflow, old, with, want string }{
		"a target that does not exist": {kms, "release:prerelease'", "release:pre'", "no target: release:pre"},
		"a target without its argument": {node,
			`release:merge "$GITHUB_REF_NAME" "$RUNNER_TEMP/jobs" doctor -steps="$STEPS" release:nodePrerelease`,
			"doctor -steps=\"$STEPS\" release:nodePrerelease release:merge x", "release:merge without its arguments"},
		"a flag that does not exist": {node, `node:measure -profile=`, `node:measure -profil=`, "no target: -profil="},
		"a call that cannot be judged": {auditor, `go tool mage verify:event`, `cd / && go tool mage verify:event`,
			"cannot be judged"},
		"another trigger": {kms, "  push:\n", "  workflow_dispatch:\n  push:\n",
			"something else than a tag mero-kms-v*"},
		"the other family's tags":       {node, "mero-tee-v*", "mero-kms-v*", "something else than a tag mero-tee-v*"},
		"another name":                  {kms, "name: release-kms-phala", "name: release-kms", "not that of its file"},
		"CI for tags":                   {ci, "    branches: [main, \"hotfix/**\"]", "    tags: ['*']", "it runs for tags"},
		"a stranger's code with rights": {guard, "  pull_request:", "  pull_request_target:", "pull_request_target"},
		"signing elsewhere":             {ci, "go tool mage ci", "go tool mage kms:sign", "believes no signature"},
		"cancelling a release": {node, "cancel-in-progress: false", "cancel-in-progress: true",
			"cancel each other"},
		"side by side": {kms, "group: release-${{ github.ref }}", "group: release-${{ github.run_id }}",
			"side by side"},
		"a variable that is missing": {kms, "  PHALA_DSTACK_URL: ${{ vars.PHALA_DSTACK_URL }}\n", "",
			"its steps read PHALA_DSTACK_URL"},
		"a secret that is missing": {node, "          PHALA_CLOUD_API_KEY: ${{ secrets.PHALA_CLOUD_API_KEY }}\n", "",
			"its steps read PHALA_CLOUD_API_KEY"},
		"a token that is missing": {kms, "kms:promote'\n        env:\n          GITHUB_TOKEN: ${{ github.token }}",
			"kms:promote'\n        env:", "its steps read GITHUB_TOKEN"},
		"a secret too many": {node, "          PROFILE:",
			"          GHCR_TOKEN: ${{ secrets.GHCR_TOKEN }}\n          PROFILE:", "none of its steps reads GHCR_TOKEN"},
		"a variable that nothing reads": {ci, "MERO_ENVIRONMENT: rehearsal",
			"MERO_ENVIRONMENT: rehearsal\n          MERO_KMS_VERSON: x", "nothing reads MERO_KMS_VERSON"},
		"a variable nobody knows": {kms, "${{ vars.GCP_ZONE }}", "${{ vars.GCP_ZONES }}", "GCP_ZONES is no variable"},
		"one variable as another": {kms, "${{ vars.MERO_TEE_VERSION }}", "${{ vars.MERO_KMS_VERSION }}",
			`MERO_KMS_VERSION is passed as "MERO_TEE_VERSION"`},
		"a secret among the variables": {kms, "${{ secrets.ITA_API_KEY }}", "${{ vars.ITA_API_KEY }}",
			"ITA_API_KEY is no variable"},
		"a secret for an action": {node, "workload_identity_provider: ${{ vars.GCP_WORKLOAD_IDENTITY_PROVIDER }}",
			"workload_identity_provider: ${{ secrets.GHCR_TOKEN }}", `GHCR_TOKEN is passed as ""`},
		"no environment": {ci, "MERO_ENVIRONMENT: rehearsal", "X: y", "MERO_ENVIRONMENT is not set"},
		"rights of the workflow": {kms, "permissions: {}", "permissions: {contents: write}",
			"the workflow itself has permissions"},
		"all rights of a workflow": {ci, "permissions: {}", "permissions: write-all",
			"the workflow itself has permissions"},
		"a job's rights not listed": {auditor, "    permissions:\n      contents: read\n" + saysVerdicts, "",
			"job audit does not list"},
		"all rights of a job": {auditor, "    permissions:\n      contents: read\n" + saysVerdicts,
			"    permissions: write-all\n", "job audit does not list"},
		"a right too many": {guard, "      contents: read\n", "      contents: write\n",
			"job pr-doc-guard has contents: write"},
		"a right that is missing": {kms, "      packages: write # the images on GHCR\n", "",
			"job build lacks packages: write"},
		"an auditor that says nothing": {auditor, saysVerdicts, "", "job audit lacks statuses: write"},
		"an auditor that could change releases": {auditor, "      contents: read\n", "      contents: write\n",
			"job audit has contents: write"},
		"statuses by others": {ci, "      contents: read\n", "      contents: read\n      statuses: write\n",
			"has statuses: write"},
		"no right to ask for CI's verdict": {node, "      checks: read # CI's verdict on the tagged commit\n", "",
			"job version lacks checks: read"},
		"no right to ask for the approval": {kms, "      actions: read # the approvals of this run\n", "",
			"job promote lacks actions: read"},
		"a builder that could sign": {node, "      contents: read\n    strategy:",
			"      contents: read\n      id-token: write\n    strategy:", "job image has id-token: write"},
		"a signer that builds": {kms, "    needs: build\n", "", "job release could sign, and builds"},
		"a signer on another machine": {kms, "    needs: build\n    runs-on: ubuntu-24.04",
			"    needs: build\n    runs-on: self-hosted", "not GitHub's machine"},
		"a signer for pull requests": {node, "  push:\n", "  pull_request:\n  push:\n",
			"job release could sign, and runs for pull_request"},
		"a cache where one releases": {node, "cache: false", "cache: true", "Go comes with a cache"},
		"a cache's own action": {ci, "      - run: go tool mage ci",
			"      - uses: actions/cache@de0fac2e4500dabe0009e67214ff5f5447ce83dd # v1.0.0\n      - run: go tool mage ci",
			"a cache"},
		"an action by its tag": {ci, "actions/setup-go@4b73464bb391d4059bd26b0524d20df3927bd417 # v6.3.0",
			"actions/setup-go@v6", "actions/setup-go@v6 is not pinned"},
		"an action without a version": {auditor, "4b73464bb391d4059bd26b0524d20df3927bd417 # v6.3.0",
			"4b73464bb391d4059bd26b0524d20df3927bd417", "is not pinned by SHA, with its version"},
		"a short SHA": {guard, "4b73464bb391d4059bd26b0524d20df3927bd417", "4b73464", "is not pinned"},
		"a container": {ci, "    timeout-minutes: 90", "    timeout-minutes: 90\n    container: debian:13",
			"something else than steps"},
		"another's workflow": {ci, "jobs:\n",
			"jobs:\n  other:\n    permissions: {}\n    uses: o/r/.github/workflows/x.yaml@main\n",
			"job other runs something else than steps"},
		"no timeout":          {ci, "    timeout-minutes: 90\n", "", "job ci has no timeout"},
		"a token left behind": {kms, "          persist-credentials: false\n", "", "the checkout keeps its token"},
		"the auditor on another branch": {auditor, "${{ github.event.repository.default_branch }}",
			"${{ github.event.workflow_run.head_sha }}", "another branch than the default one"},
		"an auditor without the history": {auditor, "          fetch-depth: 0", "          fetch-depth: 1",
			"the checkout lacks the commits that releases were made of"},
		"an expression in a script": {auditor, `verify:event`, "verify:release ${{ inputs.tag }}",
			"an expression in a script"},
		"what nobody uploads": {node, "pattern: node-*", "pattern: image-*", "nothing uploads image-*"},
		"a job without the doctor": {kms, `doctor -steps="$STEPS" release:prerelease`, "release:prerelease",
			"the doctor does not ask"},
		"a merge without the doctor": {node, `"$RUNNER_TEMP/jobs" doctor -steps="$STEPS" `, `"$RUNNER_TEMP/jobs" `,
			"the doctor does not ask"},
		"a doctor who asks for another": {node, "STEPS: node:version", "STEPS: node:build",
			"the doctor does not ask for node:version"},
		"promotion without an approval": {kms, "    environment: release-auditor\n", "",
			"job promote promotes without an approval"},
		"promotion of release candidate": {node, "    if: ${{ !contains(github.ref_name, '-rc.') }}\n", "",
			"promotes without an approval, or candidates"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := sources(t)[tc.workflow]
			require.Contains(t, source, tc.old)
			found := judge(t, tc.workflow, strings.Replace(source, tc.old, tc.with, 1))
			require.Contains(t, strings.Join(found, "\n"), tc.want)
		})
	}
}
