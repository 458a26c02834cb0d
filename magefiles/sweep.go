//go:build mage

package main

import (
	"context"

	"github.com/calimero-network/mero-tee/internal/door"
)

// Sweep lists what interrupted runs left at the cloud providers; with -apply it deletes that. [-apply]
func Sweep(ctx context.Context, apply *bool) error { return door.Exit(door.Sweep(ctx, apply)) }
