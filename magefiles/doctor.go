//go:build mage

package main

import (
	"context"
	"os"

	"github.com/calimero-network/mero-tee/internal/cli"
)

// Doctor shows every variable and secret and asks for what a release will need, changing nothing; exit 10 when one would stop it. [-family=kms|node]
func Doctor(ctx context.Context, family *string) error {
	return cli.Exit(cli.Doctor(ctx, os.Stdout, cli.Value(family)))
}
