package agent

import (
	"context"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Machines boots nodes, and a node that has booted once more.
type Machines interface {
	Nodes
	// Reboot is Boot, after whose report the same machine boots again from the same
	// disk, with another mission: both reports, the first one first.
	Reboot(ctx context.Context, published *measurement.Published, profile release.Profile,
		first, again Mission) ([2]*Report, error)
}
