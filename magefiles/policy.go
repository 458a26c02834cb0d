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

// Check judges the working policies, one line per check; exit 10 when one fails. [-path=: another policy file or
// folder]
func (Policy) Check(ctx context.Context, path *string) error {
	return cli.Exit("policy:check", cli.PolicyCheck(ctx, cli.Value(path)))
}

// Diff shows what differs between two policies: files, folders, or tags of KMS releases. FROM TO [-full: whole
// registers]
func (Policy) Diff(ctx context.Context, from, to string, full *bool) error {
	return cli.Exit("policy:diff", cli.PolicyDiff(ctx, os.Stdout, from, to, cli.Value(full)))
}

// Generate makes the policies of a key service's version from published-mrtds.json files alone, without a release.
// VERSION -measurements=FILE[,FILE…] [-out=DIR: else to standard output]
func (Policy) Generate(version string, measurements, out *string) error {
	return cli.Exit("policy:generate",
		cli.PolicyGenerate(os.Stdout, version, cli.Value(measurements), cli.Value(out)))
}

// Promote proposes a node release's measurements for all profiles in a pull request. -tag= [-withoutE2E=: why no
// successful E2E vouches for them] [-dryRun: only show the change]
func (Policy) Promote(ctx context.Context, tag, withoutE2E *string, dryRun *bool) error {
	return cli.Exit("policy:promote", cli.PolicyPromote(ctx, os.Stdout, cli.Value(tag), withoutE2E, cli.Value(dryRun)))
}

// Refresh proposes platform registers that were newly observed, next to the old ones, with the events that moved them.
// -measurements=FILE or -tag= [-profile=] [-accept=EVENT,… -reason=: events that no platform moves] [-dryRun]
func (Policy) Refresh(ctx context.Context, profile, measurements, tag, accept, reason *string, dryRun *bool) error {
	r := cli.RefreshRequest{Profile: cli.Value(profile), File: cli.Value(measurements), Tag: cli.Value(tag),
		Accept: cli.Value(accept), Reason: cli.Value(reason)}
	return cli.Exit("policy:refresh", cli.PolicyRefresh(ctx, os.Stdout, r, cli.Value(dryRun)))
}

// Revoke proposes to take measurements out for good. -tag= or -measurement=: how a register begins; -reason= [-dryRun]
func (Policy) Revoke(ctx context.Context, tag, measurement, reason *string, dryRun *bool) error {
	return cli.Exit("policy:revoke", cli.PolicyRevoke(ctx, os.Stdout, cli.Value(tag), cli.Value(measurement),
		cli.Value(reason), cli.Value(dryRun)))
}

// Migrate walks the five migration steps from KMS release FROM to TO. FROM TO -profile= [-kmsURL=: a service that was
// restarted; else the restart is done, and undone]
func (Policy) Migrate(ctx context.Context, from, to string, profile, kmsURL *string) error {
	return cli.Exit("policy:migrate", cli.Migrate(ctx, os.Stdout, from, to, cli.Value(profile), cli.Value(kmsURL)))
}
