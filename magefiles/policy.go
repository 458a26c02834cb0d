//go:build mage

package main

import (
	"context"
	"os"

	"github.com/magefile/mage/mg"

	"github.com/calimero-network/mero-tee/internal/door"
)

// Policy operates the policies of released key services.
type Policy mg.Namespace

// Migrate walks the five migration steps from KMS release FROM to TO. FROM TO -profile= [-kmsURL=: a service that was restarted; else the restart is done, and undone]
func (Policy) Migrate(ctx context.Context, from, to string, profile, kmsURL *string) error {
	return door.Exit(door.Migrate(ctx, os.Stdout, from, to, door.Value(profile), door.Value(kmsURL)))
}
