package steps

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/calimero-network/mero-tee/docs/releases"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/notes"
	"github.com/calimero-network/mero-tee/internal/pipeline/plan"
	"github.com/calimero-network/mero-tee/internal/provider/git"
	"github.com/calimero-network/mero-tee/internal/release"
)

// PlanFile is the name of the plan's record in work/.
const PlanFile = "plan.json"

// planRecord is work/plan.json: the class is decided once, before anything is
// built, since main may move on while a release is under way.
type planRecord struct {
	Tag     release.Tag   `json:"tag"`
	Class   release.Class `json:"class"`
	Patched *release.Tag  `json:"patched,omitempty"` // the release that a hotfix patches
	Diff    []git.Change  `json:"diff,omitempty"`    // since that one
	Waivers []string      `json:"waivers,omitempty"` // of TCB statuses, for the notes
	// node releases that were promoted without E2E, for the notes
	Untested []string `json:"untested,omitempty"`

	Previous *release.Tag `json:"previous,omitempty"` // the family's release before, which the notes look back to

	Repository string `json:"repository,omitempty"` // owner/name
	Note       string `json:"note,omitempty"`       // what the environment says of everything made in it
}

// decision is what the plan rests on, for the checks that come later.
func (p planRecord) decision() plan.Decision {
	d := plan.Decision{Class: p.Class, Diff: p.Diff}
	if p.Patched != nil {
		d.Patched = *p.Patched
	}
	return d
}

// Plan decides the class of this release and what it still lacks, by the releases that are published.
func (r *Release) Plan(ctx context.Context) (*plan.Plan, error) {
	tags, err := r.tags(ctx)
	if err != nil {
		return nil, err
	}
	all, err := r.GitHub.Releases(ctx)
	if err != nil {
		return nil, err
	}
	subject := plan.Subject{Tag: r.Tag, Commit: r.Checkout.Commit, Tags: tags, Stable: plan.Published(all)}
	public := PublicTags(all, r.Tag.Family)
	subject.Public = slices.Contains(public, r.Tag)
	file, err := r.written()
	if err != nil {
		return nil, err
	}
	p, err := plan.Prepare(ctx, subject, file, plan.Repository(r.Env.Root))
	if err == nil {
		p.Previous = previous(p, public)
	}
	return p, err
}

// previous is the release that this one is compared with: the one that a hotfix patches, before a stable release the
// last published stable one, and before a candidate the last one that is public.
func previous(p *plan.Plan, public []release.Tag) *release.Tag {
	if !p.Patched.IsZero() {
		return &p.Patched
	}
	if p.Tag.Stable() {
		public = p.Stable
	}
	return notes.Previous(p.Tag, public)
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
	out := planRecord{Tag: r.Tag, Class: p.Class, Diff: p.Diff, Waivers: p.Waivers, Untested: p.Untested,
		Previous: p.Previous, Repository: r.Env.Config.Repository, Note: r.Env.Banner}
	if !p.Patched.IsZero() {
		out.Patched = &p.Patched
	}
	return WriteJSON(r.Work(PlanFile), out)
}

func (r *Release) planned() (planRecord, error) {
	var out planRecord
	return out, ReadJSON(r.Work(PlanFile), &out)
}

// before is the folder of what the family's release before this one published,
// audited; "" when there is none, or none that can be believed.
func (r *Release) before(ctx context.Context, w *pipeline.Work, p planRecord) (string, error) {
	if p.Previous == nil {
		return "", nil
	}
	dir, err := r.Published().Audited(ctx, *p.Previous)
	if err != nil {
		w.Warnf("%s cannot be compared with: %v", p.Previous, err)
		return "", nil
	}
	return dir, nil
}
