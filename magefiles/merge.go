//go:build mage

package main

import (
	"context"

	"github.com/calimero-network/mero-tee/internal/cli"
)

// Merge joins what the jobs of a release did side by side into dist/{tag}; what contradicts each other is refused, exit 10. TAG DIR, which has a folder for each job
func (Release) Merge(ctx context.Context, tag, from string) error {
	return cli.Exit(cli.Merge(ctx, tag, from))
}
