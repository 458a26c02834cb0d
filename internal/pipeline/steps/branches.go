package steps

import (
	"context"
	"errors"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/provider/github"
)

// sharedPrefix begins the name of every branch that a test shares policies on; no other is ever deleted.
const sharedPrefix = "e2e/"

// SweepBranches finds the branches on which interrupted tests of the records'
// release shared policies, and deletes them if apply says so. It goes on after
// an error: found are those that are there and, with apply, were deleted.
func SweepBranches(ctx context.Context, c *github.Client, records []pipeline.Record,
	apply bool) (found []string, err error) {
	return sweep(records, journal.Branch, func(open string) (bool, error) { return sweepBranch(ctx, c, open, apply) })
}

func sweepBranch(ctx context.Context, c *github.Client, open string, apply bool) (bool, error) {
	if !strings.HasPrefix(open, sharedPrefix) {
		return false, fault.Mismatch("a ledger's branch", "one of a test, "+sharedPrefix+"…", open)
	}
	_, err := c.Head(ctx, open)
	switch {
	case errors.Is(err, github.ErrNotFound):
		return false, nil
	case err == nil && apply:
		err = c.Unshare(ctx, open)
	}
	return true, err
}
