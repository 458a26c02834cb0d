package audit

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/calimero-network/mero-tee/internal/artifact/sbom"
	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/evidence"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/release"
)

// nodeImages verifies once more what a node release rests on: for each profile
// the record of its image, the boots that were measured, and the SBOM's packages.
func (a *auditor) nodeImages(ctx context.Context, published *measurement.Published) {
	if published == nil {
		a.add(check.Skip("node images", "there are no measurements to compare them with"))
		return
	}
	listed, unlisted := a.listed()
	for _, p := range release.Profiles() {
		record, err := a.record(p, published.Profiles[p])
		a.add(check.Of("image record of "+string(p), err))
		a.add(a.boots(ctx, p, published.Profiles[p], record))
		if record != nil {
			err := unlisted
			if err == nil {
				err = listed.Check(published.Profiles[p].Image.Digest, record.PackageVersions())
			}
			a.add(check.Of("SBOM lists the packages of "+string(p), err))
		}
	}
}

func (a *auditor) record(p release.Profile, published measurement.Profile) (*image.Record, error) {
	data, err := a.read(release.RecordAsset(p))
	if err != nil {
		return nil, err
	}
	r, err := image.Decode(data)
	if err != nil {
		return nil, err
	}
	for _, c := range []struct{ what, expected, got string }{
		{"profile", string(p), string(r.Profile)},
		{"version", a.Tag.Version.String(), r.Version.String()},
		{"image name", published.Image.Name, r.Image.Name},
		{"digest", published.Image.Digest.String(), digest.Of(data).String()},
	} {
		if c.expected != c.got {
			return nil, fault.Mismatch("the record has another "+c.what+" than "+release.MeasurementsAsset+" says",
				c.expected, c.got)
		}
	}
	if a.report.Commit != "" && r.Commit != a.report.Commit {
		return nil, fault.Mismatch("the image was built from another commit than the signatures'", a.report.Commit, r.Commit)
	}
	return r, nil
}

// boots verifies the quotes and event logs again, as of today's collateral, and
// compares them with what was published and with the image's record.
func (a *auditor) boots(ctx context.Context, p release.Profile, published measurement.Profile,
	record *image.Record) check.Result {
	name := "boots of " + string(p)
	if a.Verifier == nil {
		return check.Skip(name, "no verifier of TDX quotes")
	}
	e, err := a.evidence(p, published)
	if err != nil {
		return check.Of(name, err)
	}
	seen, err := e.Observe(ctx, a.Verifier)
	if err != nil {
		return unjudged(check.Of(name, err), err)
	}
	if got := e.Published(seen, published.Image); !got.Equal(published) {
		return check.Of(name, fault.Mismatch("the boots do not show what is published", summary(published), summary(got)))
	}
	if err := bootedFrom(seen, record); err != nil {
		return check.Of(name, err)
	}
	return check.Pass(name).Noting(standing(e, seen))
}

func (a *auditor) evidence(p release.Profile, published measurement.Profile) (*evidence.Evidence, error) {
	data, err := a.read(release.EvidenceAsset(p))
	if err != nil {
		return nil, err
	}
	e, err := evidence.DecodeEvidence(data)
	if err != nil {
		return nil, err
	}
	if e.Profile != p || e.Image != published.Image.Name {
		return nil, fault.Mismatch("the evidence is of another image", published.Image.Name, e.Image)
	}
	return e, nil
}

// unjudged says of boots without a TCB level what did not change: the release.
func unjudged(r check.Result, err error) check.Result {
	if !errors.As(err, new(*tdx.Unrated)) {
		return r
	}
	return r.WithHint("no byte of the release changed and its quotes are signed as they were; " +
		"what moved is Intel's collateral. " +
		"Images are proven again by a release that is measured on hosts with current firmware")
}

// standing is what today's collateral says of the machines that were measured,
// unless all is well: whether that is good enough is for the policies to say.
func standing(e *evidence.Evidence, seen []*evidence.Observation) string {
	for i, o := range seen {
		if v := o.Verdict; v.TCB != tdx.UpToDate {
			return fmt.Sprintf("today the TCB of boot %d is %s (%s), on the day of the measurement it was %s", i+1, v.TCB,
				strings.Join(v.Advisories, ", "), e.Boots[i].TCB)
		}
	}
	return ""
}

func summary(p measurement.Profile) string {
	values, names := p.Registers().Values(), tdx.RegisterNames()
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = names[i] + " " + v.String()
	}
	return strings.Join(out, ", ") + fmt.Sprintf("; quote %s, event log %s, %d boots", p.Evidence.Quote,
		p.Evidence.EventLog, p.Evidence.Boots)
}

// bootedFrom: every boot measured into RTMR1 and RTMR2 exactly what the record
// predicts of the image's disk, event by event.
func bootedFrom(boots []*evidence.Observation, record *image.Record) error {
	if record == nil {
		return &fault.Error{Code: fault.Verification, Message: "the image's record is not valid, so nothing says what booted"}
	}
	for i, o := range boots {
		if err := o.BootOf(record); err != nil {
			return fmt.Errorf("boot %d: %w", i+1, err)
		}
	}
	return nil
}

// listed is what the SBOM says of all images.
func (a *auditor) listed() (sbom.Packages, error) {
	data, err := a.read(release.SBOMAsset)
	if err != nil {
		return sbom.Packages{}, err
	}
	return sbom.Read(data)
}
