package noderelease_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/node/evidence"
	"github.com/calimero-network/mero-tee/internal/pipeline/releasetest"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/inprocess"
	"github.com/calimero-network/mero-tee/internal/release"
)

// crashVariable makes this test binary a command that kills itself.
const crashVariable = "MERO_TEST_CRASH"

// accident says at which moment the process ends itself with SIGKILL.
type accident struct {
	Root, Dist string
	Target     string // what the command performs
	Part       string // of it; "" is all
	Call       string // the kind of API call, see kindOf
	N          int    // the first of its kind is 1
	When       string // "before" the request is sent, or "after" its answer
}

func (a accident) String() string { return fmt.Sprintf("%s %s, number %d", a.When, a.Call, a.N) }

// crash is the child: it performs the target, until the accident.
func crash(order []byte) int {
	var a accident
	if err := json.Unmarshal(order, &a); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	around := func(next http.RoundTripper) http.RoundTripper { return &deadly{accident: a, kinds: kinds{next: next}} }
	ctx := context.Background() // who started it waits, and ends it if it hangs
	p, err := begin(ctx, a.Root, a.Dist, stable, inCloud(gce.Faults{}, around))
	if err == nil {
		err = p.Run.PerformTarget(ctx, a.Target, a.Part)
	}
	fmt.Fprintln(os.Stderr, "it did not happen:", err)
	return 1
}

// kinds tells the calls of the API apart.
type kinds struct {
	next http.RoundTripper

	mu       sync.Mutex
	seen     map[string]int
	deleting bool
}

var nameForm = regexp.MustCompile(`/(operations|images|instances|disks)/[^/]+`)

// kindOf is a call without the names in it: "POST instances", "GET instances getGuestAttributes".
// Asking how a deletion gets on is of another kind than how a creation does.
func (k *kinds) kindOf(r *http.Request) (kind string, n int) {
	path := nameForm.ReplaceAllString(r.URL.Path, "/$1 ")
	for scope, said := range map[string]string{"/zones/" + inprocess.Zone + "/": "", "/global/": "",
		"/aggregated/": " of all zones"} {
		if _, below, ok := strings.Cut(path, scope); ok {
			path = strings.ReplaceAll(below, " /", " ") + said
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	kind = strings.TrimSpace(r.Method + " " + path)
	if r.Method == http.MethodDelete {
		k.deleting = true
	} else if k.deleting && kind == "GET operations" {
		kind += " while deleting"
	}
	if k.seen == nil {
		k.seen = map[string]int{}
	}
	k.seen[kind]++
	return kind, k.seen[kind]
}

func (k *kinds) RoundTrip(r *http.Request) (*http.Response, error) {
	_, _ = k.kindOf(r)
	return k.next.RoundTrip(r)
}

// deadly is the network of a process that dies at a call.
type deadly struct {
	accident
	kinds
}

func (d *deadly) RoundTrip(r *http.Request) (*http.Response, error) {
	if kind, n := d.kindOf(r); kind != d.Call || n != d.N {
		return d.next.RoundTrip(r)
	}
	if d.When == "after" {
		_, _ = d.next.RoundTrip(r)
	}
	releasetest.Die()
	return nil, http.ErrAbortHandler
}

// happens runs the child until it is dead, and makes sure that nothing of it lives on.
func (a accident) happens(t *testing.T) {
	t.Helper()
	order, err := json.Marshal(a)
	require.NoError(t, err)
	releasetest.Died(t, crashVariable+"="+string(order))
	releasetest.RequireNoProcess(t, a.Dist)
}

// furnish puts the release's images into the cloud, as the builds did.
func furnish(t *testing.T, dist string, profiles ...release.Profile) {
	t.Helper()
	cloud, err := openCloud(dist, gce.Faults{}, nil, [32]byte{})
	require.NoError(t, err)
	for _, profile := range profiles {
		require.NoError(t, cloud.Import(inprocess.Image{Version: stable.Version, Profile: profile}))
	}
	require.NoError(t, cloud.Close())
}

// callsOf performs a target without an accident and tells the kinds of calls that it makes.
func callsOf(t *testing.T, root, stage, target, part string, profiles ...release.Profile) []string {
	t.Helper()
	dist := releasetest.From(t, stage)
	furnish(t, dist, profiles...)
	k := &kinds{}
	p := opened(t, root, dist, stable,
		inCloud(gce.Faults{}, func(next http.RoundTripper) http.RoundTripper { k.next = next; return k }))
	require.NoError(t, p.Run.PerformTarget(t.Context(), target, part), "%s", p.Log)
	requireClean(t, p, profiles...)
	return slices.Sorted(maps.Keys(k.seen))
}

// "Kill -9 after each API call, run again, and show zero resources and the same
// final release": at every kind of call that measuring makes, and before and after
// those that make and delete VMs.
func TestKilledWhileMeasuring(t *testing.T) {
	t.Parallel()
	releasetest.Long(t, "a command that is killed")
	s := fixture.Stages(t)
	calls := callsOf(t, s.Root, s.After("node:build"), "node:measure", "debug", release.Debug)
	for _, want := range []string{"POST instances", "GET operations", "GET instances getGuestAttributes",
		"DELETE instances",
		"GET operations while deleting", "GET instances of all zones", "GET disks of all zones", "GET images"} {
		require.Contains(t, calls, want)
	}
	var cases []accident
	moments, machines := []string{"before", "after"}, []string{"POST instances", "DELETE instances"}
	for i, call := range calls { // a sample: one of the two moments
		if !slices.Contains(machines, call) {
			cases = append(cases, accident{Call: call, N: 1, When: moments[i%2]})
		}
	}
	for _, call := range machines { // of both VMs
		for _, when := range moments {
			cases = append(cases, accident{Call: call, N: 1, When: when}, accident{Call: call, N: 2, When: when})
		}
	}
	for _, a := range cases {
		t.Run(a.String(), func(t *testing.T) {
			t.Parallel()
			a.Root, a.Dist, a.Target, a.Part = s.Root, releasetest.From(t, s.After("node:build")), "node:measure", "debug"
			furnish(t, a.Dist, release.Debug)
			a.happens(t)
			a.measuresAgain(t, s)
		})
	}
}

// measuresAgain runs the step again: what is left is gone, and the same registers are found.
func (a accident) measuresAgain(t *testing.T, s *releasetest.Stages) {
	t.Helper()
	p := opened(t, a.Root, a.Dist, stable, inCloud(gce.Faults{}, nil))
	if a.When == "after" && a.Call == "POST instances" {
		require.Contains(t, strings.Join(p.cloud.Server.Resources(), "\n"), "/instances/mero-measure-debug-",
			"the accident left a VM")
	}
	require.NoError(t, p.Run.PerformTarget(t.Context(), a.Target, a.Part), "%s", p.Log)
	requireClean(t, p, release.Debug)
	require.Equal(t, 1, releasetest.Passes(releasetest.Records(t, a.Dist, stable), "node:measure/debug"))
	require.Equal(t, registersIn(t, s.After("node:measure")), registersIn(t, a.Dist))
}

// registersIn are those of the staged evidence of the debug profile.
func registersIn(t *testing.T, dist string) tdx.Registers {
	t.Helper()
	evidence, err := evidence.DecodeEvidence(
		[]byte(releasetest.Contents(t, releasetest.Staged(dist, stable))[release.EvidenceAsset(release.Debug)]))
	require.NoError(t, err)
	quote, err := tdx.ParseQuote(evidence.Boots[0].Quote)
	require.NoError(t, err)
	return quote.Registers
}

// The same during the end-to-end test, at the calls that make, use and delete its VMs; of the rest there is no other
// kind than above.
func TestKilledDuringE2E(t *testing.T) {
	t.Parallel()
	releasetest.Long(t, "a command that is killed")
	s := fixture.Stages(t)
	for _, a := range []accident{{Call: "POST instances", N: 2, When: "after"},
		{Call: "GET instances getGuestAttributes", N: 3, When: "before"},
		{Call: "DELETE instances", N: 1, When: "before"}, {Call: "DELETE instances", N: 2, When: "after"}} {
		t.Run(a.String(), func(t *testing.T) {
			t.Parallel()
			a.Root, a.Dist, a.Target = s.Root, releasetest.From(t, s.After("node:audit")), "node:e2e"
			furnish(t, a.Dist, release.Profiles()...)
			a.happens(t)
			p := opened(t, a.Root, a.Dist, stable, inCloud(gce.Faults{}, nil))
			require.Contains(t, strings.Join(p.cloud.Server.Resources(), "\n"), "/instances/mero-e2e-", "the accident left VMs")
			require.NoError(t, p.Perform(t.Context(), "node:promote"), "%s", p.Log)
			requireClean(t, p, release.Profiles()...)
			requireReleased(t, p, a.Dist)
			require.Equal(t, releasetest.Contents(t, releasetest.OnGitHub(s.After("node:promote"), stable)),
				releasetest.Contents(t, releasetest.OnGitHub(a.Dist, stable)), "the same release as without an accident")
		})
	}
}
