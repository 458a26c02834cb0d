package steps

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/calimero-network/mero-tee/docs/releases"
	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/notes"
	"github.com/calimero-network/mero-tee/internal/pipeline/plan"
	"github.com/calimero-network/mero-tee/internal/provider/git"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
)

// PlanFile is the name of the plan's record in work/.
const PlanFile = "plan.json"

// planRecord is work/plan.json: the class is decided once, before anything is
// built, since main may move on while a release is under way.
type planRecord struct {
	Tag     release.Tag   `json:"tag"`
	Class   release.Class `json:"class"`
	Patched string        `json:"patched,omitempty"` // the release that a hotfix patches
	Diff    []git.Change  `json:"diff,omitempty"`    // since that one
	Waivers []string      `json:"waivers,omitempty"` // of TCB statuses, for the notes
}

// decision is what the plan rests on, for the checks that come later.
func (p planRecord) decision() (plan.Decision, error) {
	d := plan.Decision{Class: p.Class, Diff: p.Diff}
	if p.Patched == "" {
		return d, nil
	}
	var err error
	d.Patched, err = release.ParseTag(p.Patched)
	return d, err
}

// Plan decides the class of this release and what it still lacks.
func (r *Release) Plan(ctx context.Context) (*plan.Plan, error) {
	tags, err := r.tags(ctx)
	if err != nil {
		return nil, err
	}
	_, err = r.GitHub.ReleaseByTag(ctx, r.Tag.String())
	if err != nil && !errors.Is(err, github.ErrNotFound) {
		return nil, err
	}
	subject := plan.Subject{Tag: r.Tag, Commit: r.Checkout.Commit, Tags: tags, Public: err == nil}
	file, err := r.written()
	if err != nil {
		return nil, err
	}
	return plan.Prepare(ctx, subject, file, plan.Repository(r.Env.Root))
}

// tags are the commits of all tags. GitHub knows them: a checkout need not have them.
func (r *Release) tags(ctx context.Context) (map[string]string, error) {
	all, err := r.GitHub.Tags(ctx)
	out := map[string]string{}
	for _, t := range all {
		out[t.Name] = t.Commit
	}
	return out, err
}

// Decide records the class without running the guards: for a simulated
// counterpart, which has none of its own.
func (r *Release) Decide(ctx context.Context, _ *pipeline.Work) error {
	plan, err := r.Plan(ctx)
	if err != nil {
		return err
	}
	return errors.Join(plan.Err(), r.recordPlan(plan))
}

func (r *Release) notesFile() string { return filepath.Join(r.Checkout.Notes, releases.File(r.Tag)) }

// written is what people wrote for this release; nil when they wrote nothing.
func (r *Release) written() ([]byte, error) {
	data, err := os.ReadFile(r.notesFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

func (r *Release) recordPlan(p *plan.Plan) error {
	out := planRecord{Tag: r.Tag, Class: p.Class, Diff: p.Diff, Waivers: p.Waivers}
	if !p.Patched.IsZero() {
		out.Patched = p.Patched.String()
	}
	return WriteJSON(r.Work(PlanFile), out)
}

func (r *Release) planned() (planRecord, error) {
	var out planRecord
	return out, ReadJSON(r.Work(PlanFile), &out)
}

// previous is what the family's release before this one published, audited;
// nil when there is none, or none that can be believed.
func (r *Release) previous(ctx context.Context, w *pipeline.Work) (*measurement.Published, error) {
	tags, err := r.Published().Tags(ctx, r.Tag.Family)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(tags))
	for i, t := range tags {
		names[i] = t.String()
	}
	before := notes.Previous(r.Tag, names)
	if before == nil {
		return nil, nil
	}
	dir, err := r.Published().Audited(ctx, *before)
	if err != nil {
		w.Warnf("%s cannot be compared with: %v", before, err)
		return nil, nil
	}
	return ReadMeasurements(dir)
}
