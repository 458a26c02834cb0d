package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/calimero-network/mero-tee/internal/artifact/trust"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/evidence"
	"github.com/calimero-network/mero-tee/internal/pipeline/plan"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/audit"
	"github.com/calimero-network/mero-tee/internal/verify/clearance"
	"github.com/calimero-network/mero-tee/internal/verify/guard"
)

// Judgement is how a release is to be judged.
type Judgement struct {
	Quick bool   // only checksums, signatures and measurements
	Page  string // where to write the report; empty: none
	Place        // where it lies, and whom to believe
}

// Place is where a release lies, and whom to believe about its signatures.
type Place struct {
	Folder string // with all its assets, judged without asking anybody; empty: GitHub
	Trust  string // a trusted_root.json; empty: Sigstore's, over TUF
}

// Verify audits a public release of either family, or a folder that holds one,
// and prints one line per check.
func Verify(ctx context.Context, name string, j Judgement) error {
	tag, err := release.ParseTag(name)
	if err != nil {
		return err
	}
	return operate(ctx, func(o *operator) error {
		revoked := o.revoked()
		if j.Folder != "" {
			revoked = notAsked
		}
		subject := audit.Subject{Tag: tag, Quick: j.Quick, Revoked: revoked}
		if j.Page == "" {
			return o.audited(ctx, subject, j.Place, nil)
		}
		return o.audit(ctx, subject, j.Place, func(found *audit.Report, dir string) error {
			return o.writePage(j, found, dir)
		})
	})
}

// TrustedRoot writes whom a verifier believes about signatures to w, as it is
// known here over TUF, for one that will have no network; and its digest to the console.
func TrustedRoot(ctx context.Context, w io.Writer) error {
	return operate(ctx, func(o *operator) error {
		if _, err := o.env.Trust(ctx); err != nil {
			return err
		}
		raw, err := o.env.Sigstore.TrustedRootFile(ctx)
		if err != nil {
			return err
		}
		status, err := o.env.Sigstore.Status(ctx)
		if err != nil {
			return err
		}
		o.console.Infof("the trusted root of %s, root version %d: %s%s", trust.Mirror, status.Root, digest.Of(raw),
			o.banner())
		_, err = w.Write(raw)
		return err
	})
}

// VerifyRecent audits the n public releases of each family with the highest
// versions; one that fails does not keep the others from being looked at.
func VerifyRecent(ctx context.Context, n int) error {
	if n < 1 {
		return &fault.Error{Code: fault.Usage, Message: "fewer than one release cannot be checked",
			Expected: "at least 1", Got: fmt.Sprint(n)}
	}
	return operate(ctx, func(o *operator) error {
		revoked := o.revoked()
		return o.auditRecent(ctx, n, func(ctx context.Context, tag release.Tag) error {
			return o.audited(ctx, audit.Subject{Tag: tag, Revoked: revoked}, Place{}, nil)
		})
	})
}

// auditRecent judges the newest releases of each family. What others publish under
// tags of their own is no release of ours.
func (o *operator) auditRecent(ctx context.Context, n int, judge func(context.Context, release.Tag) error) error {
	all, err := o.github.Releases(ctx)
	if err != nil {
		return err
	}
	tags := recent(all, n)
	if len(tags) == 0 {
		o.console.Warnf("nothing is released yet")
	}
	var errs []error
	for _, tag := range tags {
		o.console.Infof("%s", tag)
		if err := judge(ctx, tag); err != nil {
			o.console.Fault(err)
			errs = append(errs, err)
		}
	}
	return summary(errs, len(tags))
}

// summary is one error with the code of the first; each was shown already.
func summary(errs []error, of int) error {
	if len(errs) == 0 {
		return nil
	}
	return &fault.Error{Code: fault.CodeOf(errs[0]), Message: fmt.Sprintf("%d of %d releases did not pass", len(errs), of)}
}

// recent are the tags of the n public releases of each family with the highest versions.
func recent(all []github.Release, n int) []release.Tag {
	var out []release.Tag
	for _, f := range release.Families() {
		tags := steps.PublicTags(all, f)
		slices.SortFunc(tags, func(a, b release.Tag) int { return b.Version.Compare(a.Version) })
		out = append(out, tags[:min(n, len(tags))]...)
	}
	return out
}

// RegisterDiff writes which registers moved between two node releases and why.
// A release that is staged in dist/ is read there; any other is downloaded and audited.
func RegisterDiff(ctx context.Context, w io.Writer, from, to string) error {
	before, err := parseTag(release.Node, from)
	if err != nil {
		return err
	}
	after, err := parseTag(release.Node, to)
	if err != nil {
		return err
	}
	return operate(ctx, func(o *operator) error {
		var sides [2]*evidence.Release
		for i, tag := range []release.Tag{before, after} {
			if sides[i], err = o.registersOf(ctx, tag); err != nil {
				return err
			}
		}
		return evidence.WriteDiff(w, sides[0], sides[1])
	})
}

func (o *operator) registersOf(ctx context.Context, tag release.Tag) (out *evidence.Release, err error) {
	staged := filepath.Join(steps.Dir(o.env.Dist, tag), "assets")
	for _, p := range release.Profiles() {
		if _, err := os.Stat(filepath.Join(staged, release.EvidenceAsset(p))); err == nil {
			return evidence.ReadRelease(tag.String()+" (staged)", staged)
		}
	}
	err = o.reading(ctx, tag, func(dir string) error {
		out, err = evidence.ReadRelease(tag.String(), dir)
		return err
	})
	return out, err
}

// GuardSelfTest shows that every guard and every rule of a class fires.
func GuardSelfTest() error { return check.Fire(drills()).Report(newConsole()) }

// drills are those of every package that decides what may be released.
func drills() []check.Drill {
	return slices.Concat(
		guard.Drills(),
		plan.Drills(),
		steps.Drills(),
		clearance.Drills(),
	)
}

// GuardDocs is guard 1 over the files that changed since base.
func GuardDocs(ctx context.Context, base string) error {
	w, err := configure()
	if err != nil {
		return err
	}
	proposed, err := guard.ProposedSince(ctx, w.root, base, w.cfg.CatalogPath)
	if err != nil {
		return err
	}
	return guard.Docs(proposed).Report(newConsole())
}

// Guards runs guards 2, 3 and 4 alone, for the release of a tag; empty means
// the configuration's.
func Guards(ctx context.Context, tag string) error {
	return withSession(ctx, request{target: "guard:all", tag: tag}, func(s *session) error {
		results, err := s.release.Guards(ctx)
		if err != nil {
			return err
		}
		return s.release.Judged(results).Report(s.console)
	})
}
