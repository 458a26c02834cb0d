package steps

import (
	"context"
	"errors"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/plan"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies/propose"
)

// MovedFile is the name of the record of what a hotfix moved, in work/. The audit's step
// vouches for it, as for its own.
const MovedFile = "moved.json"

// described compares the measurements with the release before and returns the
// notes that tell of it. What a hotfix moved is recorded: the promotion rests on it.
func (r *Release) described(ctx context.Context, w *pipeline.Work) (string, error) {
	planned, err := r.planned()
	if err != nil {
		return "", err
	}
	compared, err := r.compared(ctx, w, planned)
	if err != nil {
		return "", err
	}
	moved, result := planned.decision().Compare(compared.before, compared.after)
	if err := r.Judged(check.Results{result}).Report(w.Console); err != nil {
		return "", err
	}
	if err := WriteJSON(r.Work(MovedFile), moved); err != nil {
		return "", err
	}
	if err := r.foretell(ctx, w, moved); err != nil {
		return "", err
	}
	if err := r.posture(ctx, w); err != nil {
		return "", err
	}
	return r.notes(ctx, planned, compared)
}

// compared reads what this release measures, and what the one before it published.
func (r *Release) compared(ctx context.Context, w *pipeline.Work, planned planRecord) (out comparison, err error) {
	if out.after, err = ReadMeasurements(r.Assets()); err != nil {
		return out, err
	}
	if out.dir, err = r.before(ctx, w, planned); err != nil || out.dir == "" {
		return out, err
	}
	out.before, err = ReadMeasurements(out.dir)
	return out, err
}

// foretell warns before the publication of what the promotion will demand, so that people can see to it while E2E runs.
func (r *Release) foretell(ctx context.Context, w *pipeline.Work, moved plan.Moved) error {
	if len(moved) == 0 {
		return nil
	}
	results, err := r.follow(ctx, moved)
	if err != nil {
		w.Warnf("what is merged could not be looked at; the promotion will: %v", err)
		return nil
	}
	for _, result := range results {
		if !result.OK() {
			w.Warnf("not yet, and the promotion waits for it: %s: %s; %s", result.Name, result.Reason, result.Hint)
		}
	}
	return nil
}

// followed is the spec's "if MRTD changes, must update policy and catalog", at the promotion of a hotfix: what is
// merged by then must hold the very values that it measures.
func (r *Release) followed(ctx context.Context, w *pipeline.Work) error {
	planned, err := r.planned()
	if err != nil || planned.Class != release.Hotfix {
		return err
	}
	var moved plan.Moved
	if err := ReadJSON(r.Work(MovedFile), &moved); err != nil {
		return err
	}
	results, err := r.follow(ctx, moved)
	if err != nil {
		return err
	}
	return r.Judged(results).Report(w.Console)
}

func (r *Release) follow(ctx context.Context, moved plan.Moved) (check.Results, error) {
	counterpart, err := r.Counterpart()
	if err != nil {
		return nil, err
	}
	governed, err := r.governed(ctx, moved)
	return moved.Followed(r.Tag, counterpart, governed), err
}

// governed reads from main, as GitHub has it now, what must have followed.
func (r *Release) governed(ctx context.Context, moved plan.Moved) (out plan.Governed, err error) {
	if len(moved) == 0 {
		return out, nil
	}
	if out.Catalog, err = r.catalogAt(ctx, BaseBranch); err != nil || !moved.Registers() {
		return out, err
	}
	if r.Tag.Family == release.Node {
		out.Policies, err = propose.Load(ctx, r.GitHub, BaseBranch)
		return out, err
	}
	out.Platforms, err = r.platforms(ctx, r.Env.Platforms())
	return out, err
}

// platforms reads the platforms file from the branch main on GitHub.
func (r *Release) platforms(ctx context.Context, file string) (*measurement.Platforms, error) {
	data, err := r.GitHub.ReadFile(ctx, file, BaseBranch)
	if errors.Is(err, github.ErrNotFound) {
		return nil, &fault.Error{Code: fault.MissingAsset, Message: "a hotfix that moved measurements needs a file on main",
			Expected: file + " on branch " + BaseBranch, Got: "no such file", Err: err,
			Hint: "merge what the hotfix changed there, and run the promotion again"}
	}
	if err != nil {
		return nil, err
	}
	return measurement.DecodePlatforms(data)
}
