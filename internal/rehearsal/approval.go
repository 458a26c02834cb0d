package rehearsal

import (
	"context"
	"fmt"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/rehearsal/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/clearance"
)

// The two people of a rehearsal: who pushes tags, and who approves.
const (
	maintainer = "rehearsed-maintainer"
	reviewer   = "rehearsed-reviewer"
)

// startRun is what the push of a release's tag starts.
func (w *World) startRun(tag release.Tag, commit string) error {
	_, err := w.github.StartRun(github.Run{Workflow: tag.Family.Workflow(), Tag: tag.String(), Commit: commit,
		Actor: maintainer})
	return err
}

// workflowRun is the run that the tag's push started. A reviewer is asked once
// the release waits for its promotion.
func (w *World) workflowRun(_ context.Context, tag release.Tag) (int64, error) {
	id, found, err := w.github.RunOf(tag.String())
	if err != nil {
		return 0, err
	}
	if !found {
		return 0, &fault.Error{Code: fault.General, Message: fmt.Sprintf("no workflow run of %s is known here", tag),
			Expected: "the run that the tag's push started", Got: "none",
			Hint: "the rehearsal is of an older version: run `go tool mage rehearse:reset`"}
	}
	return id, w.review(id)
}

// approve is the reviewer who looked at the pre-release and approves it.
func (w *World) approve(run int64) error {
	return w.github.Review(run, github.Review{Environment: clearance.Environment, By: reviewer,
		State: "approved", Comment: "a rehearsal"})
}
