package kmsrelease

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/calimero-network/mero-tee/internal/git"
	"github.com/calimero-network/mero-tee/internal/measurement"
	"github.com/calimero-network/mero-tee/internal/notes"
	"github.com/calimero-network/mero-tee/internal/release"
)

// notes are the release's notes: "Git changelog since the last release tag",
// the counterpart, the measurements and how to verify them.
func (r *Release) notes(ctx context.Context) (string, error) {
	in := notes.Input{Repository: r.Env.Config.Repository, Tag: r.Tag, Banner: r.Env.Banner}
	if err := r.changelog(ctx, &in); err != nil {
		return "", err
	}
	published, err := readMeasurements(r.assets())
	if err != nil {
		return "", err
	}
	for _, profile := range release.Profiles() {
		in.Measurements = append(in.Measurements, row(profile, published.Profiles[profile]))
		tag, err := r.imageTag(profile)
		if err != nil {
			return "", err
		}
		digest := published.Profiles[profile].Image.Digest.String()
		in.Images = append(in.Images, notes.Image{Profile: string(profile), Reference: tag.Context().Digest(digest).String()})
	}
	if _, err := os.Stat(filepath.Join(r.work(counterpartDir), release.MeasurementsAsset)); err == nil {
		counterpart, err := r.counterpart()
		if err != nil {
			return "", err
		}
		in.Counterpart = &counterpart
	} else if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	return notes.Generate(in), nil
}

// changelog fills in the commits since the family's last release. GitHub says
// which tags there are: a checkout need not have them.
func (r *Release) changelog(ctx context.Context, in *notes.Input) error {
	tags, err := r.github.Tags(ctx)
	if err != nil {
		return err
	}
	commits := map[string]string{}
	for _, t := range tags {
		commits[t.Name] = t.Commit
	}
	from := ""
	if in.Previous = notes.Previous(r.Tag, slices.Collect(maps.Keys(commits))); in.Previous != nil {
		from = commits[in.Previous.String()]
	}
	in.Commits, err = git.Log(ctx, r.Env.Root, from, r.Checkout.Commit)
	return err
}

func row(profile release.Profile, p measurement.Profile) notes.Measurement {
	m := notes.Measurement{Profile: string(profile), MRTD: p.MRTD.String(), RTMR0: p.RTMR0.String(), RTMR1: p.RTMR1.String(), RTMR2: p.RTMR2.String()}
	if p.RTMR3 != nil {
		m.RTMR3 = p.RTMR3.String()
	}
	return m
}
