//go:build mage

package main

import (
	"context"
	"os"

	"github.com/magefile/mage/mg"

	"github.com/calimero-network/mero-tee/internal/door"
)

// Config makes configuration for those who use a release.
type Config mg.Namespace

// Attestation prints merod's client configuration for a profile of a verified KMS release. -profile= -kmsURL= -tag= [-format=toml|json] [-attest]
func (Config) Attestation(ctx context.Context, profile, kmsURL, tag, format *string, attest *bool) error {
	return door.Exit(door.ClientConfig(ctx, os.Stdout, door.ClientRequest{
		Profile: door.Value(profile), URL: door.Value(kmsURL), Tag: door.Value(tag), Format: door.Value(format), Attest: door.Value(attest)}))
}
