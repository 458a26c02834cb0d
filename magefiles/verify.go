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

// Release checks a public release as a stranger would: one line per check, exit 10 when one fails, 11 when an asset is
// missing. With -offline and -trust it needs no network; -report writes a page of what was found. TAG [-quick]
// [-offline=DIR] [-trust=FILE] [-report=FILE]
func (Verify) Release(ctx context.Context, tag string, quick *bool, offline, trust, report *string) error {
	return cli.Exit("verify:release", cli.Verify(ctx, tag, cli.Judgement{Quick: cli.Value(quick),
		Page: cli.Value(report), Place: cli.Place{Folder: cli.Value(offline), Trust: cli.Value(trust)}}))
}

// Reproduce builds a release's images again from a clean clone of its commit, and compares them with what was released:
// equal byte for byte, or which layer, package, file and byte differs. TAG [-profile=]
func (Verify) Reproduce(ctx context.Context, tag string, profile *string) error {
	return cli.Exit("verify:reproduce", cli.Reproduce(ctx, tag, cli.Value(profile)))
}

// Trust prints the trusted root by which signatures are judged today, for verify:release -trust=FILE without a network.
func (Verify) Trust(ctx context.Context) error {
	return cli.Exit("verify:trust", cli.TrustedRoot(ctx, os.Stdout))
}

// Recent checks the N newest public releases of each family, as verify:release does. N
func (Verify) Recent(ctx context.Context, n int) error {
	return cli.Exit("verify:recent", cli.VerifyRecent(ctx, n))
}

// Event verifies what an event of GitHub asks for, in the auditor's workflow, and says the verdict on the release's
// commit; what is no release of ours is left alone, exit 0.
func (Verify) Event(ctx context.Context) error {
	return cli.Exit("verify:event", cli.VerifyEvent(ctx))
}

// Quote explains a TDX quote (bytes, hex, base64 or JSON) and its event log, and says whether it is genuine, with an
// image's record of a boot of that image, and with a policy admitted. FILE [-eventLog=FILE] [-record=FILE]
// [-policy=FILE]
func (Verify) Quote(ctx context.Context, file string, eventLog, record, policy *string) error {
	return cli.Exit("verify:quote", cli.ExplainQuote(ctx, os.Stdout, cli.Question{File: file,
		EventLog: cli.Value(eventLog), Record: cli.Value(record), Policy: cli.Value(policy)}))
}

// Kms judges a running key service by its release: quote, registers, event log, compose hash, transport key, policy;
// one line per check, exit 10 when one fails. URL -tag= -profile=
func (Verify) Kms(ctx context.Context, url string, tag, profile *string) error {
	return cli.Exit("verify:kms", cli.VerifyService(ctx, url, cli.Value(tag), cli.Value(profile)))
}

// Measurement explains what machines measure.
type Measurement mg.Namespace

// Diff shows which registers moved from one node release to another, by the event, package and file that moved them.
// FROM TO
func (Measurement) Diff(ctx context.Context, from, to string) error {
	return cli.Exit("measurement:diff", cli.RegisterDiff(ctx, os.Stdout, from, to))
}

// Predict shows what booting a raw disk extends into RTMR1 and RTMR2, event by event, and compares it with the event
// log of a TD (CCEL) or of a TPM, or the disk with that of another build, byte by byte. DISK [-log=FILE] [-same=DISK]
func (Measurement) Predict(ctx context.Context, disk string, log, same *string) error {
	return cli.Exit("measurement:predict", cli.Predict(ctx, os.Stdout, disk, cli.Value(log), cli.Value(same)))
}

// Config makes configuration for those who use a release.
type Config mg.Namespace

// Attestation prints merod's client configuration for a profile of a verified KMS release. -profile= -kmsURL= -tag=
// [-format=toml|json] [-attest]
func (Config) Attestation(ctx context.Context, profile, kmsURL, tag, format *string, attest *bool) error {
	return cli.Exit("config:attestation", cli.ClientConfig(ctx, os.Stdout, cli.ClientRequest{
		Profile: cli.Value(profile), URL: cli.Value(kmsURL), Tag: cli.Value(tag),
		Format: cli.Value(format), Attest: cli.Value(attest)}))
}
