package kmsrelease_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/releasetest"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
)

// crashVariable makes this test binary a release command that kills itself.
const crashVariable = "MERO_TEST_CRASH"

// accident says at which moment the process ends itself with SIGKILL.
type accident struct {
	Root, Dist string
	Host       string // of the requests that are counted; "" means GitHub's two
	Method     string // of those requests; "" means all that change something
	N          int64  // the first is 1
	// "before" the request is sent, "during" its body, "after" its answer; or "ledger" for the clock of the ledger
	When string
}

// die ends the process after it has told what runs beside it.
func (a accident) die() {
	fmt.Fprintln(os.Stderr, "beside it:", slices.Collect(maps.Values(releasetest.ProcessesOf(a.Dist))))
	releasetest.Die()
}

// crash is the child: it performs the whole release, until the accident.
func crash() int {
	var a accident
	if err := json.Unmarshal([]byte(os.Getenv(crashVariable)), &a); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := a.release(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func (a accident) release(ctx context.Context) error {
	p, err := fixture.Begin(ctx, a.Root, a.Dist, stable, nil)
	if err != nil {
		return err
	}
	defer p.Close()
	switch seam := p.Env.Transport.(*releasetest.Counting); a.When {
	case "ledger":
		if err := a.watchLedger(p); err != nil {
			return err
		}
	default:
		seam.Next = &deadly{accident: a, next: seam.Next}
	}
	return p.Perform(ctx, "kms:promote")
}

// watchLedger opens the ledger again with a clock that ends the process: each
// record asks for the time just before it is written.
func (a accident) watchLedger(p *releasetest.Process) (err error) {
	if err := p.Release.Ledger.Close(); err != nil {
		return err
	}
	var asked atomic.Int64
	clock := func() time.Time {
		if asked.Add(1) == a.N {
			a.die()
		}
		return time.Now()
	}
	p.Release.Ledger, err = pipeline.OpenLedger(steps.Dir(a.Dist, stable), stable.String(),
		p.Release.Checkout.Commit, clock)
	p.Run.Ledger = p.Release.Ledger
	return err
}

// deadly is the network of a process that dies at its Nth write.
type deadly struct {
	accident
	next http.RoundTripper
	seen atomic.Int64
}

func (d *deadly) RoundTrip(r *http.Request) (*http.Response, error) {
	if !d.counts(r) || d.seen.Add(1) != d.N {
		return d.next.RoundTrip(r)
	}
	switch d.When {
	case "before":
		d.die()
	case "during":
		r = r.Clone(r.Context())
		r.Body = &cut{ReadCloser: r.Body, left: r.ContentLength / 2, die: d.die}
	}
	_, _ = d.next.RoundTrip(r)
	d.die()
	return nil, http.ErrAbortHandler
}

func (d *deadly) counts(r *http.Request) bool {
	if d.Host == "" {
		return releasetest.WritesToGitHub(r)
	}
	return r.URL.Hostname() == d.Host && releasetest.Changes(r) && (d.Method == "" || d.Method == r.Method)
}

// cut is a body that the process does not live to send whole.
type cut struct {
	io.ReadCloser
	left int64
	die  func()
}

func (c *cut) Read(b []byte) (int, error) {
	if c.left <= 0 {
		c.die()
	}
	n, err := c.ReadCloser.Read(b[:min(int64(len(b)), c.left)])
	c.left -= int64(n)
	return n, err
}

// happens runs the child until it is dead, makes sure that nothing of it lives
// on, and returns what it said.
func (a accident) happens(t *testing.T) string {
	t.Helper()
	order, err := json.Marshal(a)
	require.NoError(t, err)
	said := releasetest.Died(t, crashVariable+"="+string(order))
	releasetest.RequireNoProcess(t, a.Dist)
	return said
}

// recovers runs the release again, up to a step, and checks that nothing tells of the accident.
func (a accident) recovers(t *testing.T, last string) {
	t.Helper()
	before := releasetest.Contents(t, releasetest.Staged(a.Dist, stable))
	p := fixture.Opened(t, a.Root, a.Dist, stable)
	require.NoError(t, p.Perform(t.Context(), last), "%s", p.Log)
	require.Equal(t, before, releasetest.Contents(t, releasetest.Staged(a.Dist, stable)),
		"what was staged is what is released")
	if last == "kms:promote" {
		requireReleased(t, p, a.Dist)
		return
	}
	releasetest.RequirePublished(t, a.Dist, stable)
	all, err := p.GitHub(t).Releases(t.Context())
	require.NoError(t, err)
	require.Len(t, slices.DeleteFunc(all, func(r github.Release) bool { return r.TagName != stable.String() || r.Draft }),
		1)
	require.Equal(t, 1, releasetest.Passes(releasetest.Records(t, a.Dist, stable), "kms:publish"))
}

func (a accident) String() string { return fmt.Sprintf("%s %d %s", a.Host, a.N, a.When) }

// Writes of publishing: one draft, one upload for each asset, one change to
// public; of promoting: a tree, a commit, a branch, a pull request, the release.
var (
	publishing = int64(1 + len(release.KMS.ExpectedAssets()) + 1)
	promoting  = int64(5)
)

// Law 3: "kill -9 at any point and run again: the same final state, the same
// bytes, nothing left over."
func TestKilledWhilePublishing(t *testing.T) {
	t.Parallel()
	releasetest.Long(t, "a command that is killed")
	s := fixture.Stages(t)
	middle := publishing / 2
	survive(t, s.Root, s.After("kms:sign"), "kms:audit", []accident{
		{N: 1, When: "before"}, {N: 1, When: "after"}, // the draft
		{N: 2, When: "during"}, {N: 2, When: "after"}, // the first upload
		{N: middle, When: "during"}, {N: middle, When: "after"},
		{N: publishing - 1, When: "during"}, {N: publishing - 1, When: "after"}, // the last upload
		{N: publishing, When: "before"}, // the draft is full, and audited
		{N: publishing, When: "after"},  // public, and nobody wrote it down
	})
}

func TestKilledWhilePromoting(t *testing.T) {
	t.Parallel()
	releasetest.Long(t, "a command that is killed")
	s := fixture.Stages(t)
	cases := []accident{{N: promoting, When: "before"}}
	for n := int64(1); n <= promoting; n++ {
		cases = append(cases, accident{N: n, When: "after"})
	}
	survive(t, s.Root, s.After("kms:e2e"), "kms:promote", cases)
}

// Between an effect and its record, between a record and the next effect.
func TestKilledBeforeARecord(t *testing.T) {
	t.Parallel()
	releasetest.Long(t, "a command that is killed")
	s := fixture.Stages(t)
	survive(t, s.Root, s.After("kms:sign"), "kms:audit",
		[]accident{{N: 8, When: "ledger"}, {N: 45, When: "ledger"}, {N: 64, When: "ledger"}})
}

// The platform's processes go with the command that started them.
func TestKilledDuringE2E(t *testing.T) {
	t.Parallel()
	releasetest.Long(t, "a command that is killed")
	s := fixture.Stages(t)
	a := accident{Root: s.Root, Dist: releasetest.From(t, s.After("kms:catalog")), Host: "cloud-api.rehearsal.invalid",
		Method: http.MethodDelete, N: 1, When: "before"}
	require.Regexp(t, `beside it: \[.*/mero-kms`, a.happens(t), "key services were running")
	a.recovers(t, "kms:promote")
}

func TestKilledWhileSigning(t *testing.T) {
	t.Parallel()
	releasetest.Long(t, "a command that is killed")
	s := fixture.Stages(t)
	a := accident{Root: s.Root, Dist: releasetest.From(t, s.After("kms:sign")), Host: "rekor.sigstore.dev", N: 4,
		When: "after"}
	for _, name := range release.KMS.SignedAssets()[3:] {
		require.NoError(t, os.Remove(filepath.Join(releasetest.Staged(a.Dist, stable), name+release.BundleSuffix)))
	}
	require.Regexp(t, `beside it: \[.*/sigstore `, a.happens(t), "the local Sigstore was running")
	p := fixture.Opened(t, a.Root, a.Dist, stable)
	require.NoError(t, p.Perform(t.Context(), "kms:audit"), "%s", p.Log)
	releasetest.RequirePublished(t, a.Dist, stable)
}

func survive(t *testing.T, root, stage, last string, cases []accident) {
	t.Helper()
	for _, a := range cases {
		t.Run(a.String(), func(t *testing.T) {
			t.Parallel()
			a.Root, a.Dist = root, releasetest.From(t, stage)
			a.happens(t)
			a.recovers(t, last)
		})
	}
}
