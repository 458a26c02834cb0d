package steps

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/pipeline/notes"
	"github.com/calimero-network/mero-tee/internal/provider/git"
	"github.com/calimero-network/mero-tee/internal/release"
)

// notes are the release's notes: "Git changelog since the last release tag",
// the counterpart, the measurements and how to verify them.
func (r *Release) notes(ctx context.Context, before, published *measurement.Published) (string, error) {
	in := notes.Input{Repository: r.Env.Config.Repository, Tag: r.Tag, Banner: r.Env.Banner}
	if err := errors.Join(r.changelog(ctx, &in), r.fill(&in)); err != nil {
		return "", err
	}
	for _, profile := range release.Profiles() {
		in.Measurements = append(in.Measurements, row(profile, published.Profiles[profile]))
		if before != nil {
			in.Before = append(in.Before, row(profile, before.Profiles[profile]))
		}
		reference, err := published.Profiles[profile].Image.Reference(r.Tag.Family)
		if err != nil {
			return "", err
		}
		in.Images = append(in.Images, notes.Image{Profile: string(profile), Reference: reference})
	}
	if there, err := r.HasCounterpart(); err != nil {
		return "", err
	} else if there {
		counterpart, err := r.Counterpart()
		if err != nil {
			return "", err
		}
		in.Counterpart = &counterpart
	}
	return notes.Generate(in), nil
}

// fill puts in what people wrote, under the class that was decided, and what they waived.
func (r *Release) fill(in *notes.Input) error {
	plan, err := r.planned()
	if err != nil {
		return err
	}
	file, err := r.written()
	if err != nil {
		return err
	}
	written, _ := notes.Read(r.Tag, plan.Class, file) // judged before anything was built
	written.Fill(in)
	in.Class, in.Waivers = plan.Class, plan.Waivers
	return nil
}

// changelog fills in the commits since the family's last release.
func (r *Release) changelog(ctx context.Context, in *notes.Input) error {
	commits, err := r.tags(ctx)
	if err != nil {
		return err
	}
	from := ""
	if in.Previous = notes.Previous(r.Tag, slices.Collect(maps.Keys(commits))); in.Previous != nil {
		from = commits[in.Previous.String()]
	}
	in.Commits, err = git.Log(ctx, r.Env.Root, from, r.Checkout.Commit)
	return err
}

func row(profile release.Profile, p measurement.Profile) notes.Measurement {
	m := notes.Measurement{Profile: string(profile), Owners: p.Owners, MRTD: p.MRTD.String(), RTMR0: p.RTMR0.String(),
		RTMR1: p.RTMR1.String(), RTMR2: p.RTMR2.String()}
	if p.RTMR3 != nil {
		m.RTMR3 = p.RTMR3.String()
	}
	return m
}
