// Package audit judges a release by what a stranger can see of it.
//
// Its promise: it is the only verifier. The publisher's check of the draft,
// the auditor, the operator's command and the E2E call Release, and what it
// did not look at is not called verified. The expected set of assets is
// explicit, so a missing file fails as surely as a wrong one.
package audit

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"

	"github.com/sigstore/sigstore-go/pkg/root"
	"golang.org/x/sync/errgroup"

	"github.com/calimero-network/mero-tee/internal/artifact/signature"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Asset is one file of a release as its host lists it.
type Asset struct {
	Name   string
	Size   int64
	Digest string // "sha256:…" as the host claims; empty when it claims nothing
}

// Source is where a release is read from.
type Source interface {
	Assets(ctx context.Context) ([]Asset, error)
	Fetch(ctx context.Context, name string, w io.Writer) error
}

// Subject is what the release must be.
type Subject struct {
	Tag        release.Tag
	Repository string // owner/name whose workflow must have signed
	Commit     string // 40 hex digits; empty when the caller does not know it
	Trust      root.TrustedMaterial
	TDXRoot    [32]byte // SHA-256 of the one TDX root that a key service may believe
	GoogleRoot [32]byte // SHA-256 of the one root under which Google endorses its firmware
	Quick      bool     // only checksums, signatures and measurements

	Revoked   Revoked   // what a key service must not admit any more; nil: not asked, and nothing is said
	Published Published // what node releases publish, which policies may admit; nil: not asked, and nothing is said

	Verifier  *tdx.Verifier // of quotes, by what Intel says today; as of their time they need none
	Offline   bool          // nobody is asked for what is said today, and the report says so
	Platforms string        // the platforms file in the repository; empty: measurement.PlatformsFile
	Sources   Sources       // of the repository; without them nothing is compared with the commit, and that is said
}

// Sources are the repository's own files, where the verifier has them.
type Sources interface {
	// At reads a file as a commit has it; the error wraps fs.ErrNotExist where the commit is not there.
	At(ctx context.Context, commit, path string) ([]byte, error)
	// Here reads it as it lies in the verifier's work tree.
	Here(path string) ([]byte, error)
}

// Report is what was found.
type Report struct {
	Tag     release.Tag
	Commit  string            // the one commit that the certificates name; empty when no signature stands or they differ
	Digests map[string]string // asset name to "sha256:…", of the bytes that were read
	// Signed says by whom and when, of the assets whose signature stands.
	Signed map[string]signature.Certificate
	// Bases says what each register of a node image rests on, of the profiles whose boots stand.
	Bases   map[release.Profile][5]string
	Results check.Results
}

// Release downloads every expected asset from src into dir and judges it. The
// error is of the source or the disk; what is wrong with the release is in
// Report.Results, whose Err has code 11 for a missing asset and 10 otherwise.
// What was not looked at in a stable release is wrong with it, unless a quick
// check was asked for: "a stable release refuses skipped".
func Release(ctx context.Context, src Source, dir string, s Subject) (*Report, error) {
	listed, err := src.Assets(ctx)
	if err != nil {
		return nil, err
	}
	a := &auditor{Subject: s, dir: dir, digests: map[string]digest.Digest{}, oversized: map[string]bool{},
		records: map[release.Profile]*image.Record{},
		report: &Report{Tag: s.Tag, Digests: map[string]string{}, Signed: map[string]signature.Certificate{},
			Bases: map[release.Profile][5]string{}}}
	present := a.completeness(listed)
	if err := a.fetch(ctx, src, present); err != nil {
		return nil, err
	}
	a.checksums()
	a.signatures()
	a.contents(ctx)
	if s.Tag.Stable() && !s.Quick {
		a.report.Results = a.report.Results.Strict()
	}
	return a.report, nil
}

type auditor struct {
	Subject
	dir     string
	report  *Report
	mu      sync.Mutex
	digests map[string]digest.Digest

	oversized map[string]bool // assets that were not read for their size

	records map[release.Profile]*image.Record // of node images, those that are in order
}

func (a *auditor) add(results ...check.Result) {
	a.report.Results = append(a.report.Results, results...)
}

// completeness compares the list with the expected set, both ways.
func (a *auditor) completeness(listed []Asset) (present []Asset) {
	expected := a.Tag.Family.ExpectedAssets()
	for _, name := range expected {
		i := slices.IndexFunc(listed, func(x Asset) bool { return x.Name == name })
		if i < 0 {
			a.add(check.Fail("asset "+name, fault.MissingAsset, "missing from the release", name, "nothing").
				WithHint("a release that lacks an asset is not to be used; look for a later one"))
			continue
		}
		present = append(present, listed[i])
	}
	for i, x := range listed {
		if !slices.Contains(expected, x.Name) {
			a.add(check.Fail("asset "+x.Name, fault.Verification, "not an asset of this family, so nothing vouches for it",
				"no such file", x.Name))
		}
		if slices.ContainsFunc(listed[:i], func(y Asset) bool { return y.Name == x.Name }) {
			a.add(check.Fail("asset "+x.Name, fault.Verification, "listed twice, so it is not said which one is meant",
				"one "+x.Name, "another"))
		}
	}
	if len(present) == len(expected) && len(listed) == len(expected) {
		a.add(check.Pass(fmt.Sprintf("all %d expected assets are present", len(expected))))
	}
	return present
}

// parallel runs f for each item on every core and keeps the results in order.
func parallel[T any](items []T, f func(T) check.Result) check.Results {
	out := make(check.Results, len(items))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, item := range items {
		g.Go(func() error { out[i] = f(item); return nil })
	}
	_ = g.Wait() // the functions return no error
	return out
}
