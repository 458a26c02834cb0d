package audit

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

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
func (a *auditor) nodeImages(ctx context.Context, published *measurement.Published,
	read func() (sbom.Packages, error)) {
	if published == nil {
		a.add(check.Skip("node images", "there are no measurements to compare them with"))
		return
	}
	profiles := release.Profiles()
	records, results := make([]*image.Record, len(profiles)), make([]check.Results, len(profiles))
	var g sync.WaitGroup
	for i, p := range profiles {
		g.Go(func() {
			var err error
			records[i], err = a.record(p, published.Profiles[p])
			results[i] = append(check.Results{check.Of("image record of "+string(p), err)},
				a.boots(ctx, p, published.Profiles[p], records[i])...)
		})
	}
	listed, unread := read()
	g.Wait()
	for i, p := range profiles {
		a.add(results[i]...)
		if records[i] == nil {
			continue
		}
		a.records[p] = records[i]
		err := unread
		var packages []sbom.Package
		if err == nil {
			packages, err = records[i].Listed(a.Repository)
		}
		if err == nil {
			err = listed.Check(published.Profiles[p].Image.Digest, packages)
		}
		a.add(check.Of("SBOM lists the packages of "+string(p), err))
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

// boots verifies the quotes and event logs again, as of their time by the
// collateral beside them; compares them with what was published and with the
// image's record; and then asks what Intel says of the machines today.
func (a *auditor) boots(ctx context.Context, p release.Profile, published measurement.Profile,
	record *image.Record) []check.Result {
	name := "boots of " + string(p)
	e, err := a.evidence(p, published)
	if err != nil {
		return []check.Result{check.Of(name, err)}
	}
	seen, err := a.proven(ctx, e, published, record)
	if err != nil {
		return []check.Result{check.Of(name, err)}
	}
	return []check.Result{check.Pass(name).Noting(asOf(seen)), a.registers(e, seen), a.today(ctx, p, seen)}
}

// registers says what each register rests on. That Google has endorsed nothing
// of the firmware is a fact about it; that nobody could ask is none.
func (a *auditor) registers(e *evidence.Evidence, seen []*evidence.Observation) check.Result {
	name := "registers of " + string(e.Profile)
	signed, err := e.Endorsed(a.GoogleRoot, seen)
	if err != nil {
		return check.Of(name, err)
	}
	bases := e.Bases(signed)
	a.mu.Lock()
	a.report.Bases[e.Profile] = bases
	a.mu.Unlock()
	words := together(bases)
	if e.Endorsement == nil {
		return check.Unseen(name, words,
			"a candidate may be so; for a stable release the images are measured when Google can be asked")
	}
	return check.Pass(name).Noting(words)
}

// together names registers in a row that rest on the same.
func together(bases [5]string) string {
	var names, out []string
	for i, basis := range bases {
		names = append(names, strings.ToUpper(tdx.RegisterNames()[i]))
		if rest := bases[i+1:]; len(rest) > 0 && rest[0] == basis {
			continue
		}
		out = append(out, strings.Join(names, ", ")+" "+basis)
		names = nil
	}
	return strings.Join(out, "; ")
}

// proven is what the evidence of a profile proves as of its time.
func (a *auditor) proven(ctx context.Context, e *evidence.Evidence, published measurement.Profile,
	record *image.Record) ([]*evidence.Observation, error) {
	if err := a.signedAfter(e); err != nil {
		return nil, err
	}
	seen, err := e.Observe(ctx, a.TDXRoot)
	if err != nil {
		return nil, err
	}
	if got := e.Published(seen, published.Image); !got.Equal(published) {
		return nil, fault.Mismatch("the boots do not show what is published", summary(published), summary(got))
	}
	return seen, bootedFrom(seen, record)
}

// signedAfter: the time of a boot is the publisher's word; that it was before the
// signature is the timestamp authority's. Without a signature that stands the
// release has failed already.
func (a *auditor) signedAfter(e *evidence.Evidence) error {
	certificate, ok := a.report.Signed[release.EvidenceAsset(e.Profile)]
	for i, b := range e.Boots {
		if ok && b.Time.After(certificate.Time.Add(clockSkew)) {
			return fault.Mismatch(fmt.Sprintf("boot %d is of a later time than the signature over it", i+1),
				"before "+certificate.Time.UTC().Format(time.RFC3339), b.Time.UTC().Format(time.RFC3339))
		}
	}
	return nil
}

// clockSkew is how far apart the clocks of a release's machine and of a timestamp authority may be.
const clockSkew = 5 * time.Minute

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
