package steps

import (
	"context"
	"errors"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/node/evidence"
	"github.com/calimero-network/mero-tee/internal/pipeline/notes"
	"github.com/calimero-network/mero-tee/internal/pipeline/report"
	"github.com/calimero-network/mero-tee/internal/provider/git"
	"github.com/calimero-network/mero-tee/internal/release"
)

// comparison is what a release measures, and what the one before it measured: before is nil when there is none, or
// none that can be believed.
type comparison struct {
	dir           string // of the assets of the release before
	before, after *measurement.Published
}

// notes are the release's notes: "Git changelog since the last release tag",
// the counterparts, the measurements with what moved them, and how to verify them.
func (r *Release) notes(ctx context.Context, planned planRecord, c comparison) (string, error) {
	in := notes.Input{Repository: r.Env.Config.Repository, Tag: r.Tag, Banner: r.Env.Banner, Class: planned.Class,
		Previous: planned.Previous, Waivers: planned.Waivers, Untested: planned.Untested}
	err := errors.Join(r.changelog(ctx, &in), r.fill(&in), r.counterparts(&in), r.measurements(ctx, &in, c))
	if err != nil {
		return "", err
	}
	in.Facts, err = r.postured()
	return notes.Generate(in), err
}

// fill puts in what people wrote, under the class that was decided.
func (r *Release) fill(in *notes.Input) error {
	file, err := r.written()
	if err != nil {
		return err
	}
	written, _ := notes.Read(r.Tag, in.Class, file) // judged before anything was built
	written.Fill(in)
	return nil
}

// changelog fills in the commits since the release before.
func (r *Release) changelog(ctx context.Context, in *notes.Input) error {
	from := ""
	if in.Previous != nil {
		tags, err := r.tags(ctx)
		if err != nil {
			return err
		}
		from = tags[in.Previous.String()]
	}
	var err error
	if in.Commits, err = git.Log(ctx, r.Env.Root, from, r.Checkout.Commit); err != nil {
		return err
	}
	changes := []report.Change{}
	for _, c := range in.Commits {
		changes = append(changes, report.Change{Commit: c.Hash, Subject: c.Subject})
	}
	return WriteJSON(r.Work(changesFile), changes)
}

// counterparts fills in the pair of this release, and every other counterpart
// that the catalog lists with its version.
func (r *Release) counterparts(in *notes.Input) error {
	there, err := r.HasCounterpart()
	if err != nil {
		return err
	}
	if there {
		counterpart, err := r.Counterpart()
		if err != nil {
			return err
		}
		in.Counterpart = &counterpart
	}
	c, err := catalog.Read(r.Checkout.Catalog)
	if err == nil {
		in.Counterparts = counterpartsIn(c, r.Tag)
	}
	return err
}

// counterpartsIn are the entries of a version, a candidate's of the version that it is a candidate for.
func counterpartsIn(c *catalog.Catalog, tag release.Tag) []notes.Counterpart {
	var out []notes.Counterpart
	for _, e := range c.Entries {
		mine, other := e.KMS, release.Tag{Family: release.Node, Version: e.NodeImage}
		if tag.Family == release.Node {
			mine, other = e.NodeImage, release.Tag{Family: release.KMS, Version: e.KMS}
		}
		if mine != tag.Version.Final() {
			continue
		}
		entry := notes.Counterpart{Tag: other, Tested: e.Tested}
		for _, p := range e.Profiles {
			entry.Profiles = append(entry.Profiles, string(p))
		}
		out = append(out, entry)
	}
	return out
}

// measurements fills in the registers and images, what they were, and what moved them.
func (r *Release) measurements(ctx context.Context, in *notes.Input, c comparison) (err error) {
	if in.Images, err = imagesOf(c.after); err != nil {
		return err
	}
	for _, profile := range release.Profiles() {
		m := row(profile, c.after.Profiles[profile])
		if m.Bases, err = r.bases(ctx, profile); err != nil {
			return err
		}
		in.Measurements = append(in.Measurements, m)
	}
	if c.before == nil {
		return nil
	}
	if in.Return, err = imagesOf(c.before); err != nil {
		return err
	}
	for _, profile := range release.Profiles() {
		in.Before = append(in.Before, row(profile, c.before.Profiles[profile]))
	}
	in.Causes, err = r.causes(c)
	return err
}

// bases are what the registers of a node rest on, by its staged evidence. Those of
// a key service are observed where published-mrtds.json says.
func (r *Release) bases(ctx context.Context, profile release.Profile) (*[5]string, error) {
	if r.Tag.Family == release.KMS {
		return nil, nil
	}
	data, err := r.ReadAsset(release.EvidenceAsset(profile))
	if err != nil {
		return nil, err
	}
	e, err := evidence.DecodeEvidence(data)
	if err != nil {
		return nil, err
	}
	out, err := e.Verified(ctx, r.Env.TDXRoot, r.Env.GoogleRoot)
	return &out, err
}

func imagesOf(p *measurement.Published) ([]notes.Image, error) {
	var out []notes.Image
	for _, profile := range release.Profiles() {
		reference, err := p.Profiles[profile].Image.Reference(p.Family)
		if err != nil {
			return nil, err
		}
		out = append(out, notes.Image{Profile: string(profile), Reference: reference})
	}
	return out, nil
}

// causes are what moved the registers: events of the boot for a node image, and for a key service its compose file,
// its operating system's image, or that image's entry.
func (r *Release) causes(c comparison) ([]notes.Cause, error) {
	if r.Tag.Family == release.KMS {
		return serviceCauses(c.before, c.after), nil
	}
	from, err := evidence.ReadRelease(c.before.Tag.String(), c.dir)
	if err != nil {
		return nil, err
	}
	to, err := evidence.ReadRelease(r.Tag.String(), r.Assets())
	if err != nil {
		return nil, err
	}
	var out []notes.Cause
	for _, p := range release.Profiles() {
		for _, m := range evidence.Movements(from.Profiles[p], to.Profiles[p]) {
			for _, event := range m.Events {
				out = append(out, notes.Cause{Profile: string(p), Register: m.Register, Event: event})
			}
		}
	}
	return out, nil
}

func serviceCauses(before, after *measurement.Published) []notes.Cause {
	var out []notes.Cause
	for _, p := range release.Profiles() {
		for _, c := range measurement.Causes(before.Profiles[p], after.Profiles[p]) {
			registers := c.Registers[0]
			if last := c.Registers[len(c.Registers)-1]; last != registers {
				registers += " to " + last
			}
			out = append(out, notes.Cause{Profile: string(p), Register: registers, Event: c.Event})
		}
	}
	return out
}

func row(profile release.Profile, p measurement.Profile) notes.Measurement {
	m := notes.Measurement{Profile: string(profile), Owners: p.Owners, MRTD: p.MRTD.String(), RTMR0: p.RTMR0.String(),
		RTMR1: p.RTMR1.String(), RTMR2: p.RTMR2.String()}
	if p.RTMR3 != nil {
		m.RTMR3 = p.RTMR3.String()
	}
	return m
}
