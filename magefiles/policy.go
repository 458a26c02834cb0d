//go:build mage

package main

import (
	"context"
	"os"

	"github.com/magefile/mage/mg"

	"github.com/calimero-network/mero-tee/internal/cli"
)

// Policy operates the attestation policies: those of released key services, and the working ones in policies/.
type Policy mg.Namespace

// Check judges the working policies, one line for each check.
// With them the TCB list of the key service's host. Exit code 10 when a check fails.
//
//	-path=PATH    another policy file or folder, which is judged alone
//
// Needs: nothing; with MERO_ENVIRONMENT=production GitHub is asked what the named node releases publish.
// Leaves: nothing.
// See: docs/policies.md
// Example: go tool mage policy:check
func (Policy) Check(ctx context.Context, path *string) error {
	return cli.Exit("policy:check", cli.PolicyCheck(ctx, cli.Value(path)))
}

// Diff shows what differs between two policies.
//
//	FROM     a policy file, a folder of them, or the tag of a key service's release, which is audited first
//	TO       the same
//	-full    whole registers
//
// Needs: the files, or public releases of those tags.
// Leaves: nothing.
// See: docs/policies.md
// Example: go tool mage policy:diff policies mero-kms-v0.1.0
func (Policy) Diff(ctx context.Context, from, to string, full *bool) error {
	return cli.Exit("policy:diff", cli.PolicyDiff(ctx, os.Stdout, from, to, cli.Value(full)))
}

// Generate makes policies from measurement files alone, without a release.
// The files are taken as they are: verify:release says whether they are a release's.
//
//	VERSION                  the key service's version
//	-measurements=FILE,…     required: published-mrtds.json of one or more node releases
//	-out=DIR                 write attestation-policy-{profile}.json there; without it to standard output
//
// Needs: the files; the TCB lists and the revocations are those of policies/.
// Leaves: three policies in DIR.
// See: docs/commands.md
// Example: go tool mage policy:generate 1.2.0 -measurements=published-mrtds.json -out=made
func (Policy) Generate(version string, measurements, out *string) error {
	return cli.Exit("policy:generate",
		cli.PolicyGenerate(os.Stdout, version, cli.Value(measurements), cli.Value(out)))
}

// Promote proposes a node release's measurements for all profiles.
//
//	-tag=TAG              required: the node release, which is audited first
//	-withoutE2E=REASON    go without a successful end-to-end test; the reason stays in the policy
//	-dryRun               only show the change
//
// Needs: a merged record in catalog/evidence of a test that vouches for TAG; in production GITHUB_TOKEN.
// Leaves: a pull request on GitHub that changes policies/; with -dryRun nothing.
// See: docs/policies.md
// Example: go tool mage policy:promote -tag=mero-tee-v1.2.0 -dryRun
func (Policy) Promote(ctx context.Context, tag, withoutE2E *string, dryRun *bool) error {
	return cli.Exit("policy:promote", cli.PolicyPromote(ctx, os.Stdout, cli.Value(tag), withoutE2E, cli.Value(dryRun)))
}

// Refresh proposes registers of a platform that moved, beside the old ones.
// The events that moved them are shown; one that no platform moves by itself is refused.
//
//	-measurements=FILE    published-mrtds.json, measured again; FILE or TAG is required
//	-tag=TAG              another audited release of the same image, that has them
//	-profile=P            one profile alone
//	-accept=EVENT,…       events that are accepted although no platform moves them
//	-reason=REASON        why they are
//	-dryRun               only show the change
//
// Needs: promoted measurements of the same image, and the event logs beside FILE; in production GITHUB_TOKEN.
// Leaves: a pull request on GitHub that changes policies/; with -dryRun nothing.
// See: docs/policies.md
// Example: go tool mage policy:refresh -tag=mero-tee-v1.2.1 -dryRun
func (Policy) Refresh(ctx context.Context, profile, measurements, tag, accept, reason *string, dryRun *bool) error {
	r := cli.RefreshRequest{Profile: cli.Value(profile), File: cli.Value(measurements), Tag: cli.Value(tag),
		Accept: cli.Value(accept), Reason: cli.Value(reason)}
	return cli.Exit("policy:refresh", cli.PolicyRefresh(ctx, os.Stdout, r, cli.Value(dryRun)))
}

// Revoke proposes to take measurements out for good.
// It says which nodes that stops, and which released key services still admit them.
//
//	-tag=TAG               all measurements of this node release; TAG or DIGITS is required
//	-measurement=DIGITS    every measurement with a register that begins with these 8 or more hex digits
//	-reason=REASON         required: why; it stays in the policy
//	-dryRun                only show the change
//
// Needs: policies on the branch main; in production GITHUB_TOKEN.
// Leaves: a pull request on GitHub that changes policies/; with -dryRun nothing.
// See: docs/policies.md
// Example: go tool mage policy:revoke -tag=mero-tee-v1.1.0 -reason="INC-42: a private key was in the image" -dryRun
func (Policy) Revoke(ctx context.Context, tag, measurement, reason *string, dryRun *bool) error {
	return cli.Exit("policy:revoke", cli.PolicyRevoke(ctx, os.Stdout, cli.Value(tag), cli.Value(measurement),
		cli.Value(reason), cli.Value(dryRun)))
}

// Migrate walks a key service from one release to another, in the spec's five steps.
//
//	FROM           the release that runs
//	TO             the release that it becomes
//	-profile=P     required: the profile of the service
//	-kmsURL=URL    a service that you restarted; without it the restart is tried with a deployment that is deleted again
//
// Needs: two public releases, which are audited; in production PHALA_CLOUD_API_KEY, and GCP_* for the trial's nodes.
// Leaves: nothing; the new configuration goes to standard output, and a trial's ledger lies in dist/.
// See: docs/migrate-policy.md
// Example: go tool mage policy:migrate mero-kms-v0.1.0 mero-kms-v0.1.1 -profile=locked-read-only
func (Policy) Migrate(ctx context.Context, from, to string, profile, kmsURL *string) error {
	return cli.Exit("policy:migrate", cli.Migrate(ctx, os.Stdout, from, to, cli.Value(profile), cli.Value(kmsURL)))
}
