package e2e

import (
	"context"
	"errors"
	"fmt"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// clear deletes every deployment, also when ctx has ended, and says which
// machines are still there. "Cleanup: Terminate the ephemeral VM instance."
func (s *stage) clear(ctx context.Context) check.Result {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupPatience)
	defer cancel()
	const name = "nothing is left behind"
	var errs []error
	for _, service := range s.deployed() {
		d := service.deployment
		if d == nil {
			continue
		}
		if err := s.trial.Provider.Delete(ctx, d.ID); err != nil {
			errs = append(errs, fmt.Errorf("CVM %s: %w", d.ID, err))
		}
	}
	for _, node := range s.nodes {
		if node.left != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.nodeLabel(node.machine), node.left))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return check.Fail(name, fault.General, err.Error(), "every deployment and every node deleted", fmt.Sprintf("%d not deleted", len(errs))).
			WithHint("delete them by hand: they cost money")
	}
	return check.Pass(name)
}
