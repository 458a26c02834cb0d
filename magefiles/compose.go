//go:build mage

package main

import (
	"context"
	"os"

	"github.com/magefile/mage/mg"

	"github.com/calimero-network/mero-tee/internal/cli"
)

// ComposeHash prints the compose hash of each profile, as compose-hash.txt has it; the canonical files lie beside it.
func (KMS) ComposeHash(ctx context.Context) error {
	ctx, d := cli.Open(ctx, "kms:measure")
	defer d.Close()
	mg.CtxDeps(ctx, KMS.Measure)
	return d.Print(os.Stdout, "compose-hash.txt")
}
