//go:build mage

package main

import (
	"context"
	"os"

	"github.com/magefile/mage/mg"

	"github.com/calimero-network/mero-tee/internal/cli"
)

// Verify checks what others released.
type Verify mg.Namespace

// Release checks a public release as a stranger would.
// One line for each check: assets, checksums, signatures, policies, measurements, provenance, revocations. Exit code 10
// when something is wrong, 11 when an asset is missing, 1 when something could not be looked at.
//
//	TAG             the release, of either family
//	-quick          without the contents: policies, quotes, SBOM
//	-offline=DIR    a folder with all assets of the release, in place of GitHub
//	-trust=FILE     Sigstore's trusted_root.json, in place of what TUF says; with -offline no network is needed
//	-report=FILE    a page of what was found, too
//
// Needs: a release, in a rehearsal one of this machine; MERO_ENVIRONMENT=production for a real one, and a network.
// Leaves: nothing but FILE; what Sigstore publishes is kept in the user's cache folder.
// See: docs/verifying.md
// Example: go tool mage verify:release mero-kms-v0.1.0
func (Verify) Release(ctx context.Context, tag string, quick *bool, offline, trust, report *string) error {
	return cli.Exit("verify:release", cli.Verify(ctx, tag, cli.Judgement{Quick: cli.Value(quick),
		Page: cli.Value(report), Place: cli.Place{Folder: cli.Value(offline), Trust: cli.Value(trust)}}))
}

// Recent checks the newest public releases of each family, as verify:release does.
//
//	N    how many of each
//
// Needs: what verify:release needs.
// Leaves: nothing; exit code 10 or 11 when one of them did not pass.
// Example: go tool mage verify:recent 2
func (Verify) Recent(ctx context.Context, n int) error {
	return cli.Exit("verify:recent", cli.VerifyRecent(ctx, n))
}

// Reproduce builds a release's images again, and compares them.
// From a clean clone of its commit: equal byte for byte, or which layer, package, file and byte differs (exit code 10).
//
//	TAG           the release, of either family
//	-profile=P    one profile alone
//
// Needs: git, and the release; for node images what node:build needs.
// Leaves: nothing: what was built is deleted.
// See: docs/verifying.md
// Example: go tool mage verify:reproduce mero-kms-v0.1.0 -profile=debug
func (Verify) Reproduce(ctx context.Context, tag string, profile *string) error {
	return cli.Exit("verify:reproduce", cli.Reproduce(ctx, tag, cli.Value(profile)))
}

// Kms judges a running key service by its release, which is audited first.
// Quote, registers, event log, compose hash, transport key, policy: one line for each; exit code 10 when one fails.
//
//	URL           of the service
//	-tag=TAG      required: the release that it should be
//	-profile=P    required: the profile that it should serve
//
// Needs: the service; MERO_ENVIRONMENT=production for a real one.
// Leaves: nothing.
// See: docs/verifying.md
// Example: go tool mage verify:kms https://kms.example -tag=mero-kms-v1.2.0 -profile=locked-read-only
func (Verify) Kms(ctx context.Context, url string, tag, profile *string) error {
	return cli.Exit("verify:kms", cli.VerifyService(ctx, url, cli.Value(tag), cli.Value(profile)))
}

// Quote explains a TDX quote, register by register, and says whether it is genuine.
//
//	FILE              the quote: bytes, hex or base64, or the JSON of dstack's agent or of a key service
//	-eventLog=FILE    the event log of the same boot, which must replay to the quote
//	-record=FILE      image-record-{profile}.json: is it a boot of that image?
//	-policy=FILE      attestation-policy-{profile}.json: does it admit the quote, and if not, which tuple is nearest?
//
// Needs: Intel's collateral, from its service; in a rehearsal from the simulated platform's.
// Leaves: nothing; exit code 10 when the quote is not genuine, or not what it was compared with.
// See: docs/measurements.md
// Example: go tool mage verify:quote quote.hex -policy=attestation-policy-debug.json
func (Verify) Quote(ctx context.Context, file string, eventLog, record, policy *string) error {
	return cli.Exit("verify:quote", cli.ExplainQuote(ctx, os.Stdout, cli.Question{File: file,
		EventLog: cli.Value(eventLog), Record: cli.Value(record), Policy: cli.Value(policy)}))
}

// Trust prints the trusted root by which signatures are judged today.
// For verify:release -trust=FILE, on a machine without a network.
//
// Needs: a network; a rehearsal asks the local Sigstore.
// Leaves: nothing; the root goes to standard output, its digest to standard error.
// See: docs/verifying.md
// Example: go tool mage verify:trust
func (Verify) Trust(ctx context.Context) error {
	return cli.Exit("verify:trust", cli.TrustedRoot(ctx, os.Stdout))
}

// Event verifies what an event of GitHub asks for, in the auditor's workflow.
// It says the verdict on the release's commit; what is no release of ours is left alone, with exit code 0.
//
// Needs: GITHUB_EVENT_NAME, GITHUB_EVENT_PATH and GITHUB_TOKEN, as a workflow has them.
// Leaves: a status release-auditor of the tag's commit.
// See: docs/releasing.md
// Example: go tool mage verify:event
func (Verify) Event(ctx context.Context) error {
	return cli.Exit("verify:event", cli.VerifyEvent(ctx))
}

// Measurement explains what machines measure.
type Measurement mg.Namespace

// Diff shows which registers moved between two node releases, and why.
// By the event, the package, the file and the kernel parameter that moved them.
//
//	FROM    a node release, staged in dist/ or public
//	TO      another
//
// Needs: both releases; a public one is audited first.
// Leaves: nothing.
// See: docs/measurements.md
// Example: go tool mage measurement:diff mero-tee-v0.2.0 mero-tee-v0.3.0-rc.1
func (Measurement) Diff(ctx context.Context, from, to string) error {
	return cli.Exit("measurement:diff", cli.RegisterDiff(ctx, os.Stdout, from, to))
}

// Predict shows what booting a raw disk measures, event by event.
// RTMR1 and RTMR2, after the root was verified against its hash tree. Exit code 10 when a comparison fails.
//
//	DISK          a raw disk of a node image
//	-log=FILE     compare with the event log of a TD (CCEL) or of a TPM
//	-same=DISK    compare with the disk of another build, byte by byte
//
// Needs: the disk; no network.
// Leaves: nothing.
// See: docs/node-image.md
// Example: go tool mage measurement:predict disk.raw -log=ccel.bin
func (Measurement) Predict(ctx context.Context, disk string, log, same *string) error {
	return cli.Exit("measurement:predict", cli.Predict(ctx, os.Stdout, disk, cli.Value(log), cli.Value(same)))
}

// Config makes configuration for those who use a release.
type Config mg.Namespace

// Attestation prints merod's client configuration for a verified key service.
//
//	-profile=P           required: the node's profile
//	-kmsURL=URL          required: where the key service is
//	-tag=TAG             required: its release, which is audited first
//	-format=toml|json    toml is the default
//	-attest              ask the running service for a quote, and pin the RTMR3 that it proves
//
// Needs: the public release TAG; with -attest the service, too.
// Leaves: nothing; when a check fails nothing is printed, and the exit code is 10 or 11.
// See: docs/operate-node-agent.md
// Example: go tool mage config:attestation -profile=locked-read-only -kmsURL=https://kms.example -tag=mero-kms-v1.2.0
func (Config) Attestation(ctx context.Context, profile, kmsURL, tag, format *string, attest *bool) error {
	return cli.Exit("config:attestation", cli.ClientConfig(ctx, os.Stdout, cli.ClientRequest{
		Profile: cli.Value(profile), URL: cli.Value(kmsURL), Tag: cli.Value(tag),
		Format: cli.Value(format), Attest: cli.Value(attest)}))
}
