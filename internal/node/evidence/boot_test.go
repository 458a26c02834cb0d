package evidence_test

import (
	"context"
	"crypto/sha512"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/node/evidence"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/inprocess"
	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
	"github.com/calimero-network/mero-tee/internal/release"
)

// world is a simulated platform with its collateral service.
type world struct {
	pki        *tdxsim.PKI
	platform   *tdxsim.Platform
	pcs        *tdxsim.PCS
	root       [32]byte
	client     *http.Client
	collateral *tdx.Keeper
	verifier   *tdx.Verifier
}

func newWorld(t *testing.T) *world {
	t.Helper()
	pki, err := tdxsim.NewPKI([]byte(strings.Repeat("s", 32)))
	require.NoError(t, err)
	w := &world{pki: pki, root: pki.RootSHA256()}
	w.platform, err = pki.NewPlatform(0)
	require.NoError(t, err)
	w.pcs = tdxsim.NewPCS(pki, time.Now, w.platform)
	n := network.New()
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	for _, host := range tdxsim.Hosts() {
		require.NoError(t, n.Handle(host, w.pcs))
	}
	w.client = &http.Client{Transport: n.Transport()}
	w.collateral = &tdx.Keeper{Source: tdx.NewCollateral(w.client)}
	w.verifier, err = tdx.NewVerifier(tdx.Config{Root: w.root, Collateral: w.collateral})
	require.NoError(t, err)
	return w
}

var bootedImage = inprocess.Image{Version: release.Version{Major: 1}, Profile: release.LockedReadOnly}

// boot boots a node, as it is or otherwise, and observes what it reports.
func (w *world) boot(t *testing.T,
	start func(inprocess.Image) (*inprocess.Machine, error)) (*evidence.Observation, error) {
	t.Helper()
	cloud, err := inprocess.Open(t.TempDir(),
		&inprocess.Host{Platform: w.platform, HTTP: w.client, TDXRoot: w.root, Start: start}, gce.Faults{})
	require.NoError(t, err)
	defer func() { require.NoError(t, cloud.Close()) }()
	m := agent.Mission{Nonce: agent.NewNonce()}
	report, err := cloud.Report(t.Context(), bootedImage, m)
	require.NoError(t, err)
	return evidence.Observe(t.Context(), w.verifier, bootedImage.Profile, m.Nonce, report)
}

func (w *world) observed(t *testing.T) *evidence.Observation {
	t.Helper()
	o, err := w.boot(t, nil)
	require.NoError(t, err)
	return o
}

func (w *world) evidence(t *testing.T, observations ...*evidence.Observation) *evidence.Evidence {
	t.Helper()
	kept, err := evidence.Keep(w.collateral.Stored())
	require.NoError(t, err)
	e := &evidence.Evidence{SchemaVersion: evidence.SchemaVersion, Profile: bootedImage.Profile, Image: bootedImage.Name(),
		Collateral: kept}
	for _, o := range observations {
		b, err := o.Record(&evidence.Appraisal{ID: "id", Token: "token"})
		require.NoError(t, err)
		e.Boots = append(e.Boots, b)
	}
	return e
}

// three is what is measured: two machines, and one of them again.
func (w *world) three(t *testing.T) (first, second, again *evidence.Observation) {
	t.Helper()
	first, second, again = w.observed(t), w.observed(t), w.observed(t)
	again.Reboot = true
	return first, second, again
}

// What is written is read back and verifies again, and says what was seen.
func TestEvidence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, second, again := w.three(t)
	require.NoError(t, evidence.Agree([]*evidence.Observation{first, second, again}))
	data, err := w.evidence(t, first, second, again).Encode()
	require.NoError(t, err)
	e, err := evidence.DecodeEvidence(data)
	require.NoError(t, err)
	seen, err := e.Observe(t.Context(), w.root)
	require.NoError(t, err)
	require.Len(t, seen, 3)
	for i, o := range seen {
		require.Equal(t, i == 2, o.Reboot)
		require.NoError(t, o.BootOf(bootedImage.Record("")))
		require.Len(t, o.Platform(), 14)
		require.Subset(t, o.Platform(), []string{"variable SecureBoot: off", "boot order: 0001, 0000"})
	}
	published := e.Published(seen, measurement.Image{Name: bootedImage.Name(), Digest: digest.Of([]byte("x"))})
	require.Equal(t, first.Verdict.Registers, published.Registers())
	require.Equal(t, digest.Of(first.Report.Quote), published.Evidence.Quote)
	require.Equal(t, digest.Of(first.Report.EventLog), published.Evidence.EventLog)
	require.Equal(t, 3, published.Evidence.Boots)
	require.Equal(t, digest.Digest(w.collateral.Stored().Digest()), published.Evidence.Collateral)
	events, err := e.Events()
	require.NoError(t, err)
	require.Equal(t, first.Events, events)
}

func TestForgedEvidence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, second, again := w.three(t)
	for name, tc := range map[string]struct {
		forge func(*evidence.Evidence)
		want  string
	}{
		"one boot":                {func(e *evidence.Evidence) { e.Boots = e.Boots[1:] }, "too few boots"},
		"no reboot":               {func(e *evidence.Evidence) { e.Boots = e.Boots[:2] }, "too few boots"},
		"no boot but reboots":     {func(e *evidence.Evidence) { e.Boots[0].Reboot = true }, "too few boots"},
		"the same boot twice":     {func(e *evidence.Evidence) { e.Boots[1] = e.Boots[0] }, "two boots have one nonce"},
		"another nonce":           {func(e *evidence.Evidence) { e.Boots[0].Nonce = strings.Repeat("0", 64) }, "quote"},
		"no nonce":                {func(e *evidence.Evidence) { e.Boots[0].Nonce = "" }, "nonce"},
		"a changed quote":         {func(e *evidence.Evidence) { e.Boots[0].Quote[200] ^= 1 }, "quote"},
		"another profile":         {func(e *evidence.Evidence) { e.Profile = release.Debug }, "RTMR3"},
		"another node's identity": {func(e *evidence.Evidence) { e.Boots[0].PeerID = e.Boots[1].PeerID }, "quote"},
		"a log that is no gzip":   {func(e *evidence.Evidence) { e.Boots[0].EventLog = []byte("log") }, "event log"},
		"an unknown version":      {func(e *evidence.Evidence) { e.SchemaVersion = "5" }, "unknown version"},
		"an older version": {func(e *evidence.Evidence) { e.SchemaVersion = "2" },
			"evidence of version 2, which carries no collateral"},
		"the version before": {func(e *evidence.Evidence) { e.SchemaVersion = "3" },
			"evidence of version 3, which does not say whether Google has endorsed the firmware"},
		"Google asked at no time": {func(e *evidence.Evidence) { e.Endorsement = &evidence.Endorsement{} },
			"does not say when Google was asked"},
		"another TCB status": {func(e *evidence.Evidence) { e.Boots[0].TCB = tdx.OutOfDate }, "TCB status is another"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := w.evidence(t, first, second, again).Encode()
			require.NoError(t, err)
			e, err := evidence.DecodeEvidence(data)
			require.NoError(t, err)
			tc.forge(e)
			data, err = e.Encode()
			require.NoError(t, err)
			err = verify(t.Context(), data, w.root)
			require.Equal(t, fault.Verification, fault.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func verify(ctx context.Context, data []byte, root [32]byte) error {
	e, err := evidence.DecodeEvidence(data)
	if err != nil {
		return err
	}
	_, err = e.Observe(ctx, root)
	return err
}

// "Registers that differ between boots are marked as such and must be explained."
func TestBootsThatDisagree(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	odd, err := w.boot(t, func(i inprocess.Image) (*inprocess.Machine, error) {
		m, err := i.Boot(w.platform)
		if err != nil {
			return nil, err
		}
		return m, m.Log.Measure(0, 0xd, []byte("boot entropy 17"))
	})
	require.NoError(t, err)
	err = evidence.Agree([]*evidence.Observation{w.observed(t), odd})
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, fault.Verification, f.Code)
	require.Equal(t, "rtmr0 differs between two boots of one image", f.Message)
	require.Contains(t, f.Hint, "new event: boot entropy 17")
	odd.Reboot = true
	err = evidence.Agree([]*evidence.Observation{w.observed(t), w.observed(t), odd})
	require.ErrorContains(t, err, "rtmr0 differs between a boot of the image and the reboot of a machine")
}

// The word of a log counts for nothing, and what a record did not predict is no boot of its image.
func TestBootOf(t *testing.T) {
	t.Parallel()
	honest := newWorld(t).observed(t)
	record := bootedImage.Record("")
	require.NoError(t, honest.BootOf(record))
	at := func(o *evidence.Observation, rtmr, n int) *tdx.Event {
		for i := range o.Events {
			if o.Events[i].RTMR == rtmr {
				if n--; n < 0 {
					return &o.Events[i]
				}
			}
		}
		return nil
	}
	options := slices.Concat([]byte("\x4b\x64\xf2\x8c\x0b\x4b\x8f\x42\x93\x87\x6d\x87\x60\x50\xdc\x67"),
		[]byte("\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00"), []byte("X\x00x"))
	for name, tc := range map[string]struct {
		change func(*evidence.Observation)
		want   string
	}{
		"another UKI": {func(o *evidence.Observation) { at(o, 1, 3).Digest[0] ^= 1 }, "other events of RTMR1"},
		"an event more": {func(o *evidence.Observation) {
			o.Events = append(o.Events, tdx.Event{RTMR: 2, Type: 0xd, Digest: tdx.Register{1}})
		}, "events of RTMR2 that the disk does not make"},
		"an event fewer": {func(o *evidence.Observation) { at(o, 2, 0).Type = tdx.NoActionEvent }, "without events of RTMR2"},
		"an event twice": {func(o *evidence.Observation) { o.Events = append(o.Events, *at(o, 2, 0)) },
			"events of RTMR2 twice"},
		"a second separator": {func(o *evidence.Observation) { o.Events = append(o.Events, *at(o, 1, 1)) },
			"second separator"},
		"another order": {func(o *evidence.Observation) {
			a, b := at(o, 2, 0), at(o, 2, 1)
			*a, *b = *b, *a
		}, "in another place"},
		"an unknown type": {func(o *evidence.Observation) { at(o, 1, 0).Type = 0x80000099 }, "a type that is not known"},
		"a payload forged": {func(o *evidence.Observation) { at(o, 1, 0).Payload = []byte("Calling nobody") },
			"a payload that is not of its digest"},
		"a variable forged": {func(o *evidence.Observation) { at(o, 0, 2).Digest[0] ^= 1 },
			"RTMR0 measures what boots may read from the host"},
		"a variable of systemd's": {func(o *evidence.Observation) {
			o.Events = append(o.Events, tdx.Event{Type: 0x80000001, Payload: options, Digest: sha512.Sum384(options)})
		}, "RTMR0 measures what boots may read from the host"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := *honest
			o.Events = slices.Clone(honest.Events)
			tc.change(&o)
			err := o.BootOf(record)
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, fault.Verification, fault.CodeOf(err))
			var f *fault.Error
			require.ErrorAs(t, err, &f)
			require.NotEmpty(t, f.Got)
		})
	}
}

func TestMoved(t *testing.T) {
	t.Parallel()
	event := func(rtmr int, text string) tdx.Event {
		return tdx.Event{RTMR: rtmr, Type: 0xd, Digest: sha512.Sum384([]byte(strings.TrimPrefix(text, "kernel_cmdline: "))),
			Payload: []byte(text + "\x00")}
	}
	before := []tdx.Event{event(2, "kernel 6.8"), event(2, "kernel_cmdline: root=x mero.content=aa quiet"),
		event(1, "shim")}
	after := []tdx.Event{event(2, "kernel 6.8"), event(2, "kernel_cmdline: root=x mero.content=bbb quiet"),
		event(1, "shim"), event(2, "more")}
	require.Equal(t, []string{"kernel_cmdline: mero.content=bbb, was mero.content=aa", "new event: more"},
		evidence.Moved(before, after, "rtmr2"))
	require.Equal(t, []string{"missing event: more"}, evidence.Moved(after[2:], after[2:3], "rtmr2"))
	require.Empty(t, evidence.Moved(before, after, "rtmr1"))
	long := "kernel_cmdline: " + strings.Repeat("a", 2000)
	require.Equal(t, []string{"kernel_cmdline: b=2, was b=1"},
		evidence.Moved([]tdx.Event{event(2, long+" b=1")}, []tdx.Event{event(2, long+" b=2")}, "rtmr2"))
	require.Equal(t, []string{"mrtd is the firmware itself: no event tells of it"}, evidence.Moved(before, after, "mrtd"))
	lied := event(2, "kernel_cmdline: root=x")
	lied.Payload = []byte("kernel_cmdline: root=y")
	require.Equal(t, []string{fmt.Sprintf("new event: text (by the log's own word), digest %.16s…", lied.Digest)},
		evidence.Moved(nil, []tdx.Event{lied}, "rtmr2"), "words that were not measured are not shown")
	binary := tdx.Event{RTMR: 2, Type: 0x80000099, Digest: tdx.Register{9}, Payload: []byte{0, 1, 2}}
	require.Equal(t, []string{"new event: unknown event of type 0x80000099, digest 0900000000000000…"},
		evidence.Moved(nil, []tdx.Event{binary}, "rtmr2"))
}

func FuzzDecodeEvidence(f *testing.F) {
	f.Add([]byte(`{"schema_version":"4","profile":"debug","image":"i","boots":[],` +
		`"collateral":[{"url":"u","body":"eA=="}],"endorsement":{"asked":"2026-11-27T00:00:00Z","message":"eA=="}}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := evidence.DecodeEvidence(data)
		if err != nil {
			return
		}
		_, _ = e.Events() // must not panic, and is bounded
		_ = e.Collateral.Digest()
	})
}
