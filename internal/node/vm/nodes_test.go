package vm_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/node/evidence"
	"github.com/calimero-network/mero-tee/internal/node/vm"
	client "github.com/calimero-network/mero-tee/internal/provider/gce"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/inprocess"
	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
	"github.com/calimero-network/mero-tee/internal/release"
)

const run = "mero-tee-v1-0-0-measure-debug"

var image = inprocess.Image{Version: release.Version{Major: 1}, Profile: release.Debug}

// world is a project with one image, and the hardware that it boots on.
type world struct {
	cloud    *inprocess.Cloud
	machines *inprocess.Host
	verifier *tdx.Verifier

	mu      sync.Mutex
	journal []string
}

func newWorld(t *testing.T, faults gce.Faults) *world {
	t.Helper()
	w := &world{}
	pki, err := tdxsim.NewPKI([]byte(strings.Repeat("n", 32)))
	require.NoError(t, err)
	platform, err := pki.NewPlatform(0)
	require.NoError(t, err)
	n := network.New()
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	for _, host := range tdxsim.Hosts() {
		require.NoError(t, n.Handle(host, tdxsim.NewPCS(pki, time.Now, platform)))
	}
	http := &http.Client{Transport: n.Transport()}
	w.verifier, err = tdx.NewVerifier(tdx.Config{Root: pki.RootSHA256(), Collateral: tdx.NewCollateral(http)})
	require.NoError(t, err)
	w.machines = &inprocess.Host{Platform: platform, HTTP: http, TDXRoot: pki.RootSHA256()}
	w.cloud, err = inprocess.Open(t.TempDir(), w.machines, faults)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.cloud.Close()) })
	require.NoError(t, w.cloud.Import(image))
	return w
}

func (w *world) note(e journal.Entry) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.journal = append(w.journal, e.String())
	return nil
}

func (w *world) vms() *vm.VMs {
	return &vm.VMs{Project: inprocess.Project, Run: run, Purpose: "measure",
		Client: func(ctx context.Context) (*client.Client, error) {
			return w.cloud.Client(ctx, w.note)
		}}
}

func published(name string) *measurement.Published {
	return &measurement.Published{Tag: release.Tag{Family: release.Node, Version: image.Version},
		Profiles: map[release.Profile]measurement.Profile{image.Profile: {Image: measurement.Image{Name: name}}}}
}

func (w *world) boot(ctx context.Context, m agent.Mission) (*agent.Report, error) {
	return w.vms().Boot(ctx, published(image.Name()), image.Profile, m)
}

// requireClean: only the image is left.
func (w *world) requireClean(t *testing.T) {
	t.Helper()
	require.Equal(t, []string{inprocess.Link(image)}, w.cloud.Server.Resources())
}

func TestANodeProvesItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t, gce.Faults{})
	m := agent.Mission{Nonce: agent.NewNonce()}
	report, err := w.boot(t.Context(), m)
	require.NoError(t, err)
	seen, err := evidence.Observe(t.Context(), w.verifier, image.Profile, m.Nonce, report)
	require.NoError(t, err)
	require.Equal(t, tdx.ProfileRTMR3(string(image.Profile)), seen.Verdict.Registers.RTMR3)
	w.requireClean(t)
	var events []string
	for _, line := range w.journal {
		i := strings.LastIndex(line, " ")
		require.Regexp(t, `^mero-measure-debug-[0-9a-f]{8}$`, line[i+1:])
		events = append(events, line[:i])
	}
	require.Equal(t, []string{"begin vm", "end vm"}, events)
}

// Several boots at once, as when an image is measured: one client, one sweep, a nonce for each.
func TestNodesSideBySide(t *testing.T) {
	t.Parallel()
	w := newWorld(t, gce.Faults{})
	vms := w.vms()
	var all sync.WaitGroup
	reports, errs := make([]*agent.Report, 3), make([]error, 3)
	for i := range reports {
		all.Go(func() {
			reports[i], errs[i] = vms.Boot(t.Context(), published(image.Name()), image.Profile,
				agent.Mission{Nonce: [32]byte{byte(i)}})
		})
	}
	all.Wait()
	for i, err := range errs {
		require.NoError(t, err)
		require.Equal(t, byte(i), hexByte(t, reports[i].Nonce))
	}
	require.Len(t, slices.Compact([]string{string(reports[0].PeerID), string(reports[1].PeerID),
		string(reports[2].PeerID)}), 3)
	w.requireClean(t)
}

// A machine that is reset answers over another nonce, as another node: its first
// boot left nothing that it knows.
func TestANodeThatIsRebooted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, gce.Faults{})
	missions := [2]agent.Mission{{Nonce: agent.NewNonce()}, {Nonce: agent.NewNonce()}}
	reports, err := w.vms().Reboot(t.Context(), published(image.Name()), image.Profile, missions[0], missions[1])
	require.NoError(t, err)
	var seen [2]*evidence.Observation
	for i, report := range reports {
		seen[i], err = evidence.Observe(t.Context(), w.verifier, image.Profile, missions[i].Nonce, report)
		require.NoError(t, err)
	}
	require.NoError(t, evidence.Agree(seen[:]))
	require.NotEqual(t, reports[0].PeerID, reports[1].PeerID)
	w.requireClean(t)
	require.Len(t, w.journal, 2, "it is one machine")
}

// A reboot that is not allowed is no report, and leaves nothing.
func TestARebootThatFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, gce.Faults{Denied: []string{"compute.instances.reset"}})
	_, err := w.vms().Reboot(t.Context(), published(image.Name()), image.Profile, agent.Mission{Nonce: agent.NewNonce()},
		agent.Mission{Nonce: agent.NewNonce()})
	require.Equal(t, fault.Usage, fault.CodeOf(err), "%v", err)
	require.ErrorContains(t, err, "compute.instances.reset")
	w.requireClean(t)
}

func hexByte(t *testing.T, nonce string) byte {
	t.Helper()
	b, err := agent.ParseNonce(nonce)
	require.NoError(t, err)
	return b[0]
}

// What a run left is what the cloud lists under its label: VMs and disks, of this run alone.
func TestWhatARunLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t, gce.Faults{})
	vms := w.vms()
	left, err := vms.Left(t.Context())
	require.NoError(t, err)
	require.Empty(t, left)
	c, err := w.cloud.Client(t.Context(), nil)
	require.NoError(t, err)
	for name, label := range map[string]string{"mero-measure-debug-00000001": run,
		"mero-measure-debug-00000002": "another"} {
		_, err := c.Boot(t.Context(), client.VM{Name: name, Image: "https://www.googleapis.com/compute/v1/" +
			inprocess.Link(image),
			Labels: map[string]string{client.LabelRun: label}, MaxRun: time.Hour})
		require.NoError(t, err)
	}
	left, err = vms.Left(t.Context())
	require.NoError(t, err)
	require.Contains(t, left, "vm mero-measure-debug-00000001")
	require.NotContains(t, strings.Join(left, " "), "00000002")
	_, err = vms.Boot(t.Context(), published(image.Name()), image.Profile, agent.Mission{Nonce: agent.NewNonce()})
	require.NoError(t, err)
	again, err := vms.Left(t.Context())
	require.NoError(t, err)
	require.Equal(t, left, again, "its own machine is gone")
}

// A list that cannot be had is an error, not "nothing".
func TestWhatARunLeftCannotBeListed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, gce.Faults{Denied: []string{"compute.instances.list"}})
	_, err := w.vms().Left(t.Context())
	require.Equal(t, fault.Usage, fault.CodeOf(err))
	require.ErrorContains(t, err, "compute.instances.list")
}

// What an earlier, interrupted run left under the label is gone before the first
// VM boots; what belongs to another run stays.
func TestTheEarlierRunIsSweptFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t, gce.Faults{})
	c, err := w.cloud.Client(t.Context(), nil)
	require.NoError(t, err)
	for name, label := range map[string]string{"mero-measure-debug-00000001": run,
		"mero-measure-debug-00000002": "another"} {
		_, err := c.Boot(t.Context(), client.VM{Name: name, Image: "https://www.googleapis.com/compute/v1/" +
			inprocess.Link(image),
			Labels: map[string]string{client.LabelRun: label}, MaxRun: time.Hour})
		require.NoError(t, err)
	}
	_, err = w.boot(t.Context(), agent.Mission{Nonce: agent.NewNonce()})
	require.NoError(t, err)
	require.Equal(t, "begin vm mero-measure-debug-00000001", w.journal[0])
	left := strings.Join(w.cloud.Server.Resources(), "\n")
	require.NotContains(t, left, "mero-measure-debug-00000001")
	require.Contains(t, left, "instances/mero-measure-debug-00000002")
}

func TestBadNodes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		faults gce.Faults
		code   fault.Code
		want   string // in the error
		hint   string
	}{
		"truncated guest attributes": {gce.Faults{Reads: gce.Truncated}, fault.Verification, "is damaged", "summary"},
		"oversized guest attributes": {gce.Faults{Reads: gce.Oversized}, fault.Verification, "is damaged", "summary"},
		"quota exceeded": {gce.Faults{Failures: []gce.Failure{{Call: "instances.insert", Times: 9, Code: "QUOTA_EXCEEDED"}}},
			fault.General, "QUOTA_EXCEEDED", "the project is at its quota"},
		"no free machines": {
			gce.Faults{Failures: []gce.Failure{{Call: "instances.insert", Times: 9, Code: "ZONE_RESOURCE_POOL_EXHAUSTED"}}},
			fault.General, "ZONE_RESOURCE_POOL_EXHAUSTED", "no free TDX machines"},
		"not allowed to boot": {gce.Faults{Denied: []string{"compute.instances.create"}}, fault.Usage,
			"compute.instances.create", "grant compute.instances.create"},
		"not allowed to look": {gce.Faults{Denied: []string{"compute.images.get"}}, fault.Usage, "compute.images.get",
			"grant compute.images.get"},
		"not allowed to sweep": {gce.Faults{Denied: []string{"compute.instances.list"}}, fault.Usage,
			"compute.instances.list", "grant compute.instances.list"},
		"not allowed to collect": {gce.Faults{Denied: []string{"compute.instances.getGuestAttributes"}}, fault.Usage,
			"getGuestAttributes", "grant"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tc.faults)
			report, err := w.boot(t.Context(), agent.Mission{Nonce: agent.NewNonce()})
			require.Nil(t, report)
			require.Equal(t, tc.code, fault.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, tc.want)
			require.Contains(t, hint(err), tc.hint)
			require.NotErrorIs(t, err, agent.ErrLeft)
			w.requireClean(t)
		})
	}
}

func TestAnImageThatIsNotThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, gce.Faults{})
	_, err := w.vms().Boot(t.Context(), published("mero-tee-debug-9-9-9-00000000"), image.Profile, agent.Mission{})
	require.ErrorIs(t, err, client.ErrNotFound)
	require.Empty(t, w.journal, "no VM was asked for")
	w.requireClean(t)
}

// The machine reported, and could not be deleted: the report is good, and
// somebody must look after the machine.
func TestALeftMachine(t *testing.T) {
	t.Parallel()
	w := newWorld(t, gce.Faults{Denied: []string{"compute.instances.delete"}})
	report, err := w.boot(t.Context(), agent.Mission{Nonce: agent.NewNonce()})
	require.ErrorIs(t, err, agent.ErrLeft)
	require.NotNil(t, report)
	left, err := w.vms().Left(t.Context())
	require.ErrorContains(t, err, "compute.instances.delete", "connecting sweeps first, and may not")
	require.Empty(t, left)
	require.Contains(t, strings.Join(w.cloud.Server.Resources(), "\n"), "/instances/mero-measure-debug-")
}

func hint(err error) string {
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Hint
	}
	return ""
}

// A VM that runs and never reports is waited for until patience ends, and then deleted.
func TestAVMThatNeverAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, gce.Faults{Silent: true})
	_, err := w.boot(t.Context(), agent.Mission{Nonce: agent.NewNonce()})
	require.Equal(t, fault.General, fault.CodeOf(err))
	require.ErrorContains(t, err, "has not reported")
	require.Contains(t, hint(err), "mero-agent.service")
	w.requireClean(t)
}

// It is not waited for when the caller stops.
func TestACallerThatStops(t *testing.T) {
	t.Parallel()
	w := newWorld(t, gce.Faults{Silent: true})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w.cloud.Transport = &watching{next: w.cloud.Transport, call: "/getGuestAttributes", at: 3, do: cancel}
	_, err := w.boot(ctx, agent.Mission{Nonce: agent.NewNonce()})
	require.ErrorIs(t, err, context.Canceled)
	w.requireClean(t)
}

// watching does something at the nth request to a call.
type watching struct {
	next http.RoundTripper
	call string
	at   int
	do   func()

	mu   sync.Mutex
	seen int
}

func (w *watching) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, w.call) {
		w.mu.Lock()
		w.seen++
		now := w.seen == w.at
		w.mu.Unlock()
		if now {
			w.do()
		}
	}
	return w.next.RoundTrip(r)
}

func TestNoClient(t *testing.T) {
	t.Parallel()
	v := &vm.VMs{Project: inprocess.Project, Run: run, Purpose: "measure",
		Client: func(context.Context) (*client.Client, error) { return nil, context.DeadlineExceeded }}
	for range 2 { // it is said each time
		_, err := v.Boot(t.Context(), published(image.Name()), image.Profile, agent.Mission{})
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
}
