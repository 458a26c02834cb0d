package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/retry"
)

const (
	deletePatience = 2 * time.Minute // bounds the deletion of what was deployed
	listPatience   = time.Minute     // bounds each asking for what is left
	settlePatience = 2 * time.Minute // bounds the wait for lists that are slower than the answers to deletions
)

const cleanupTitle = "nothing that the run made is left at the providers"

// clear deletes every deployment, also when ctx has ended and when one cannot be
// deleted, and then asks both providers what they have of this run. "Cleanup:
// Terminate the ephemeral VM instance."
func (s *stage) clear(ctx context.Context) Check {
	ctx = context.WithoutCancel(ctx)
	errs := s.deleteAll(ctx)
	left, err := s.remaining(ctx, len(errs) > 0)
	return NewCheck(s.cleanupPart(), clean(errs, left, err))
}

// deleteAll is what could not be deleted, and why.
func (s *stage) deleteAll(ctx context.Context) (errs []error) {
	ctx, cancel := context.WithTimeout(ctx, deletePatience)
	defer cancel()
	for _, service := range s.services {
		if d := service.deployment; d != nil {
			if err := s.run.Provider.Delete(ctx, d.ID); err != nil {
				errs = append(errs, fmt.Errorf("CVM %s: %w", d.ID, err))
			}
		}
	}
	for _, node := range s.nodes {
		if node.left != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.nodeLabel(node.machine), node.left))
		}
	}
	return errs
}

func (s *stage) cleanupPart() Part {
	if s.run.has(NodeSuite) {
		return Cleanup
	}
	return GuardrailCleanup
}

// clean is the result of what could not be deleted, what is listed, and why it could not be asked for.
func clean(deletions []error, left []string, asked error) check.Result {
	err := errors.Join(append(deletions, asked)...)
	if err == nil && len(left) == 0 {
		return check.Pass(cleanupTitle)
	}
	reason := "the providers list what the run made"
	if err != nil {
		reason = err.Error()
	}
	got := fmt.Sprintf("%d not deleted; listed: %s", len(deletions), strings.Join(left, ", "))
	if asked != nil {
		got = fmt.Sprintf("%d not deleted; the lists cannot be had", len(deletions))
	}
	return check.Fail(cleanupTitle, fault.General, reason, "every deployment and node deleted, by the providers' lists",
		got).WithHint("`go tool mage sweep -apply` deletes what a run of this machine left; the rest by hand: it costs money")
}

// remaining asks, until there is nothing or patience ends, for what carries the
// run's name. It is asked once when something is known to have stayed.
func (s *stage) remaining(ctx context.Context, once bool) (left []string, err error) {
	p := retry.Policy{First: 50 * time.Millisecond, Most: 5 * time.Second, Total: settlePatience, Wait: s.run.Wait}
	_ = p.Until(ctx, "the clean-up", func() (bool, error) { // what is left says that it gave up
		left, err = s.listed(ctx)
		return once || len(left) == 0, err
	})
	return left, err
}

// listed are the deployments and machines of this run that the providers list now.
func (s *stage) listed(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, listPatience)
	defer cancel()
	names, err := s.run.Inventory.Names(ctx)
	if err != nil {
		return nil, fmt.Errorf("the applications cannot be listed: %w", err)
	}
	var out []string
	for _, name := range names {
		if strings.HasSuffix(name, "-"+s.run.ID) {
			out = append(out, "CVM "+name)
		}
	}
	machines, err := s.run.Nodes.Left(ctx)
	if err != nil {
		return nil, fmt.Errorf("the machines cannot be listed: %w", err)
	}
	return append(out, machines...), nil
}
