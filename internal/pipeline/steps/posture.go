package steps

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/node/evidence"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/posture"
	"github.com/calimero-network/mero-tee/internal/provider/git"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

// PostureFile is the name of the record of what the release stands on, in work/.
const PostureFile = "posture.json"

// posture looks once, where the cloud's credentials and the boots' evidence
// are, and records what it found: the notes of a release that is resumed the
// next day are the same.
func (r *Release) posture(ctx context.Context, w *pipeline.Work) error {
	if _, err := r.postured(); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var facts []posture.Fact
	if r.Tag.Family == release.Node {
		facts = append(facts, posture.Base(r.Env.Images.Drift(ctx)))
		facts = append(facts, shownTCB(r.Assets())...)
	}
	facts = append(facts, Governed(ctx, r.Env.Root, r.Checkout.Policies, r.Checkout.HostTCB, time.Now())...)
	for _, f := range facts {
		tell := w.Infof
		if f.Heed || f.Unknown {
			tell = w.Warnf
		}
		tell("%s: %s", f.Topic, f)
	}
	return WriteJSON(r.Work(PostureFile), facts)
}

// postured is what was found.
func (r *Release) postured() (out []posture.Fact, err error) {
	return out, ReadJSON(r.Work(PostureFile), &out)
}

// Governed are the facts that the governed files and their history tell: what is accepted of machines, and how old
// the policies are. policiesDir may be elsewhere than in root's work tree, whose history tells the age.
func Governed(ctx context.Context, root, policiesDir, hostFile string, at time.Time) []posture.Fact {
	var out []posture.Fact
	lists, err := tcbLists(policiesDir, hostFile)
	if err != nil {
		out = append(out, posture.Unlooked(posture.TCB, "what is accepted of machines", err))
	}
	listed := make([]posture.List, len(lists))
	for i, l := range lists {
		listed[i] = posture.List{File: l.file, List: l.list}
	}
	out = append(out, posture.Accepted(listed, at)...)
	working, err := policies.LoadDir(os.DirFS(policiesDir))
	if err != nil {
		return append(out, posture.Unlooked(posture.PolicyAge, "the working policies", err))
	}
	for _, p := range release.Profiles() {
		var newest *policies.Measurement
		if all := working[p].Measurements; len(all) > 0 {
			newest = &all[len(all)-1] // "promoted, oldest first"
		}
		out = append(out, age(ctx, root, "policies/"+policies.File(p), newest, at))
	}
	return append(out, age(ctx, root, tcb.HostFile, nil, at))
}

func age(ctx context.Context, root, file string, newest *policies.Measurement, at time.Time) posture.Fact {
	changed, err := git.LastChange(ctx, root, file)
	if err != nil {
		return posture.Unlooked(posture.PolicyAge, "when "+file+" changed", err)
	}
	return posture.Age(file, changed, newest, at)
}

// shownTCB is what the machines showed on which the images were measured.
func shownTCB(assets string) []posture.Fact {
	var out []posture.Fact
	for _, p := range release.Profiles() {
		machines := "the machines of " + string(p)
		boots, err := decoded(assets, release.EvidenceAsset(p), evidence.DecodeEvidence)
		if err != nil {
			out = append(out, posture.Unlooked(posture.TCB, machines, err))
			continue
		}
		var statuses []string
		for _, b := range boots.Boots {
			statuses = append(statuses, string(b.TCB))
		}
		out = append(out, posture.Shown(machines, statuses))
	}
	return out
}
