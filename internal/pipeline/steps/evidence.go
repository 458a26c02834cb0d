package steps

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/catalog/evidence"
	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
	"github.com/calimero-network/mero-tee/policies/propose"
)

// EvidenceFile is the name of the evidence of E2E in work/; it is absent when a
// first release has nobody to be tested with.
const EvidenceFile = "evidence.json"

// writeEvidence keeps what was tried and what was seen, whatever came of it:
// "verifies E2E results" is done by people, from this.
func (r *Release) writeEvidence(report *e2e.Report) error {
	kms, kmsSide, err := tested(r.familyDir(release.KMS))
	if err != nil {
		return err
	}
	node, nodeSide, err := tested(r.familyDir(release.Node))
	if err != nil {
		return err
	}
	out := &evidence.E2E{SchemaVersion: evidence.SchemaVersion, Release: r.Tag, KMS: kmsSide, Node: nodeSide,
		Run: r.Env.Config.RunPage(), Note: r.Env.Banner, At: evidence.Stamp(time.Now()), Checks: []evidence.Check{}}
	for _, p := range report.Profiles {
		entry := evidence.Profile{Profile: p, Checks: []evidence.Check{}, KMS: service(report, kms, p),
			Node: machine(report, node, p)}
		policy := filepath.Join(r.familyDir(release.KMS), release.PolicyAsset(p))
		if entry.KMS.Policy, _, err = digest.OfFile(policy); err != nil {
			return err
		}
		out.Profiles = append(out.Profiles, entry)
	}
	for _, c := range report.Checks.Judged(r.Judged) {
		list := &out.Checks
		if at := slices.Index(report.Profiles, only(c.Profiles)); at >= 0 {
			list = &out.Profiles[at].Checks
		}
		*list = append(*list, evidence.Of(c.Result))
	}
	data, err := out.Encode()
	if err != nil {
		return err
	}
	return file.Write(r.Work(EvidenceFile), data, 0o644)
}

// only is the one profile that a check is about; none when it is about several or about all.
func only(profiles []release.Profile) release.Profile {
	if len(profiles) == 1 {
		return profiles[0]
	}
	return ""
}

// tested is a release as it was downloaded for the test.
func tested(dir string) (*measurement.Published, evidence.Side, error) {
	published, err := ReadMeasurements(dir)
	if err != nil {
		return nil, evidence.Side{}, err
	}
	sum, _, err := digest.OfFile(filepath.Join(dir, release.MeasurementsAsset))
	return published, evidence.Side{Release: published.Tag, Commit: published.Commit, Measurements: sum}, err
}

func service(report *e2e.Report, kms *measurement.Published, p release.Profile) evidence.Service {
	out := evidence.Service{Machine: machine(report, kms, p), ComposeHash: kms.Profiles[p].Image.ComposeHash}
	for _, d := range report.Deployed {
		if d.KMS == kms.Tag && d.Profile == p && !d.Unchanged {
			out.Reconfigured = append(out.Reconfigured, evidence.Deployment{Policy: d.Policy, ComposeHash: d.ComposeHash})
		}
	}
	return out
}

// machine is what the release's image showed, nothing when no quote of it was verified.
func machine(report *e2e.Report, published *measurement.Published, p release.Profile) evidence.Machine {
	image := published.Profiles[p].Image
	return evidence.Machine{Image: image.Name, Digest: image.Digest, Seen: seen(report, published.Tag, p)}
}

func seen(report *e2e.Report, tag release.Tag, p release.Profile) *tdx.Registers {
	for _, o := range report.Observed {
		if o.Family == tag.Family && o.Version == tag.Version && o.Profile == p {
			return &o.Registers
		}
	}
	return nil
}

// evidenceFiles are the part of the catalog's change that a candidate has too:
// the evidence, also of a test that failed, from which nothing can be promoted.
func (r *Release) evidenceFiles(context.Context, *pipeline.Work, string, e2eRecord) (map[string][]byte, error) {
	data, err := os.ReadFile(r.Work(EvidenceFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	counterpart, err := r.Counterpart()
	if err != nil {
		return nil, err
	}
	pair := catalog.PairOf(r.Tag, counterpart)
	e, err := evidence.Decode(evidence.Name(pair.KMS, pair.NodeImage), data)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{e.Path(): data}, nil
}

// reviewed is the evidence of E2E that guard 3 takes, as people reviewed it. For
// a key service it is the commit's: it was merged before the policies that rest
// on it. A node release is judged by the policies of a key service that may have
// been released after the commit, as for a hotfix: then main's counts too.
func (r *Release) reviewed() evidence.Source {
	commit := evidence.Folder{FS: os.DirFS(r.Checkout.Evidence)}
	if r.Tag.Family == release.KMS {
		return commit
	}
	return &newest{main: propose.Reviewed{GitHub: r.GitHub, Branch: BaseBranch}, commit: commit}
}

// newest is main's evidence, and of the commit what main does not have.
type newest struct {
	main, commit evidence.Source
	onMain       []string
}

// Names lists the files of both.
func (n *newest) Names(ctx context.Context) (_ []string, err error) {
	if n.onMain == nil {
		if n.onMain, err = n.main.Names(ctx); err != nil {
			return nil, err
		}
		n.onMain = append([]string{}, n.onMain...) // asked, even when there is none
	}
	names, err := n.commit.Names(ctx)
	names = slices.Concat(names, n.onMain)
	slices.Sort(names)
	return slices.Compact(names), err
}

// Read is the content of one of them, on main if it is there.
func (n *newest) Read(ctx context.Context, name string) ([]byte, error) {
	if slices.Contains(n.onMain, name) {
		return n.main.Read(ctx, name)
	}
	return n.commit.Read(ctx, name)
}
