package kmsrelease_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/kmsrelease"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/release"
)

// crashVariable makes this test binary a release command that kills itself.
const crashVariable = "MERO_TEST_CRASH"

// accident says at which moment the process ends itself with SIGKILL.
type accident struct {
	Root, Dist string
	Host       string // of the requests that are counted; "" means GitHub's two
	N          int64  // the first is 1
	When       string // "before" the request is sent, "during" its body, "after" its answer; or "ledger" for the clock of the ledger
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// crash is the child: it performs the whole release, until the accident.
func crash() int {
	var a accident
	if err := json.Unmarshal([]byte(os.Getenv(crashVariable)), &a); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := a.release(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func (a accident) release(ctx context.Context) error {
	p, err := begin(ctx, a.Root, a.Dist, stable)
	if err != nil {
		return err
	}
	defer p.Close() //nolint:errcheck // it does not come to that
	switch seam := p.world.Env.Transport.(*counting); a.When {
	case "ledger":
		if err := a.watchLedger(p); err != nil {
			return err
		}
	default:
		seam.next = &deadly{accident: a, next: seam.next}
	}
	return p.perform(ctx, "kms:promote")
}

// watchLedger opens the ledger again with a clock that ends the process: each
// record asks for the time just before it is written.
func (a accident) watchLedger(p *process) (err error) {
	if err := p.release.Ledger.Close(); err != nil {
		return err
	}
	var asked atomic.Int64
	clock := func() time.Time {
		if asked.Add(1) == a.N {
			die()
		}
		return time.Now()
	}
	p.release.Ledger, err = pipeline.OpenLedger(kmsrelease.Dir(a.Dist, stable), stable.String(), p.release.Checkout.Commit, clock)
	p.run.Ledger = p.release.Ledger
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
		die()
	case "during":
		r = r.Clone(r.Context())
		r.Body = &cut{ReadCloser: r.Body, left: r.ContentLength / 2}
	}
	resp, err := d.next.RoundTrip(r)
	die()
	return resp, err
}

func (d *deadly) counts(r *http.Request) bool {
	if d.Host == "" {
		return writesToGitHub(r)
	}
	return r.URL.Hostname() == d.Host && r.Method != http.MethodGet && r.Method != http.MethodHead
}

// cut is a body that the process does not live to send whole.
type cut struct {
	io.ReadCloser
	left int64
}

func (c *cut) Read(b []byte) (int, error) {
	if c.left <= 0 {
		die()
	}
	n, err := c.ReadCloser.Read(b[:min(int64(len(b)), c.left)])
	c.left -= int64(n)
	return n, err
}

// happens runs the child until it is dead, and makes sure that nothing of it lives on.
func (a accident) happens(t *testing.T) {
	t.Helper()
	order, err := json.Marshal(a)
	require.NoError(t, err)
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), crashVariable+"="+string(order))
	var said bytes.Buffer
	child.Stdout, child.Stderr = &said, &said
	err = child.Run()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit, "it came to its end: there is no moment %s %d", a.When, a.N)
	status, ok := exit.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	require.True(t, status.Signaled() && status.Signal() == syscall.SIGKILL, "%v\n%s", err, said.String())
	require.EventuallyWithT(t, func(c *assert.CollectT) { require.Empty(c, processesOf(a.Dist)) }, 15*time.Second, 20*time.Millisecond)
}

// processesOf lists the processes that have to do with a folder: their program,
// root or working directory lies in it, or their command line names it.
func processesOf(dir string) []string {
	commands, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	var found []string
	for _, file := range commands {
		line, _ := os.ReadFile(file) // a process that has ended meanwhile is none
		about := []string{string(bytes.ReplaceAll(line, []byte{0}, []byte{' '}))}
		for _, link := range []string{"exe", "root", "cwd"} {
			to, _ := os.Readlink(filepath.Join(filepath.Dir(file), link))
			about = append(about, to)
		}
		if strings.Contains(strings.Join(about, "\n"), dir) {
			found = append(found, about[0])
		}
	}
	return found
}

// recovers runs the release again, to its end, and checks that nothing tells of the accident.
func (a accident) recovers(t *testing.T) {
	t.Helper()
	before := contents(t, staged(a.Dist, stable))
	p := opened(t, a.Root, a.Dist, stable)
	require.NoError(t, p.perform(t.Context(), "kms:promote"), "%s", p.log)
	after := contents(t, staged(a.Dist, stable))
	for name, content := range before {
		require.Equal(t, content, after[name], "%s changed", name)
	}
	requireReleased(t, p, a.Dist)
	require.Empty(t, processesOf(a.Dist))
}

func (a accident) String() string { return fmt.Sprintf("%s %d %s", a.Host, a.N, a.When) }

// Writes of publishing: one draft, one upload for each asset, one change to
// public; of promoting: a branch, a file, a pull request, the release.
var (
	publishing = int64(1 + len(release.KMS.ExpectedAssets()) + 1)
	promoting  = int64(4)
)

// Law 3: "kill -9 at any point and run again: the same final state, the same
// bytes, nothing left over."
func TestKilledWhilePublishing(t *testing.T) {
	t.Parallel()
	s := world(t)
	var cases []accident
	for n := int64(1); n <= publishing; n++ {
		cases = append(cases, accident{N: n, When: []string{"before", "after", "during"}[n%3]})
	}
	for _, n := range []int64{1, 2, publishing} {
		cases = append(cases, accident{N: n, When: "before"}, accident{N: n, When: "after"})
	}
	survive(t, s.root, s.signed, cases)
}

func TestKilledWhilePromoting(t *testing.T) {
	t.Parallel()
	s := world(t)
	var cases []accident
	for n := int64(1); n <= promoting; n++ {
		cases = append(cases, accident{N: n, When: "before"}, accident{N: n, When: "after"})
	}
	survive(t, s.root, s.tested, cases)
}

// Between an effect and its record, between a record and the next effect.
func TestKilledBeforeARecord(t *testing.T) {
	t.Parallel()
	s := world(t)
	var cases []accident
	for _, n := range []int64{8, 20, 40, 75, 110} {
		cases = append(cases, accident{N: n, When: "ledger"})
	}
	survive(t, s.root, s.signed, cases)
}

// The platform's processes go with the command that started them.
func TestKilledDuringE2E(t *testing.T) {
	t.Parallel()
	s := world(t)
	survive(t, s.root, s.signed, []accident{{Host: "cloud-api.rehearsal.invalid", N: 8, When: "after"}})
}

func TestKilledWhileSigning(t *testing.T) {
	t.Parallel()
	s := world(t)
	a := accident{Root: s.root, Dist: from(t, s.signed), Host: "127.0.0.1", N: 4, When: "after"}
	for _, name := range release.KMS.SignedAssets()[3:] {
		require.NoError(t, os.Remove(filepath.Join(staged(a.Dist, stable), name+release.BundleSuffix)))
	}
	a.happens(t)
	p := opened(t, a.Root, a.Dist, stable)
	require.NoError(t, p.perform(t.Context(), "kms:audit"), "%s", p.log)
	requirePublished(t, a.Dist)
}

func survive(t *testing.T, root, stage string, cases []accident) {
	t.Helper()
	for _, a := range cases {
		t.Run(a.String(), func(t *testing.T) {
			t.Parallel()
			a.Root, a.Dist = root, from(t, stage)
			a.happens(t)
			a.recovers(t)
		})
	}
}
