//go:build mage

package main

import (
	"context"
	"os"

	"github.com/magefile/mage/mg"

	"github.com/calimero-network/mero-tee/internal/cli"
)

// Config makes configuration for those who use a release.
type Config mg.Namespace

// Attestation prints merod's client configuration for a profile of a verified KMS release. -profile= -kmsURL= -tag= [-format=toml|json] [-attest]
func (Config) Attestation(ctx context.Context, profile, kmsURL, tag, format *string, attest *bool) error {
	return cli.Exit(cli.ClientConfig(ctx, os.Stdout, cli.ClientRequest{
		Profile: cli.Value(profile), URL: cli.Value(kmsURL), Tag: cli.Value(tag), Format: cli.Value(format), Attest: cli.Value(attest)}))
}
