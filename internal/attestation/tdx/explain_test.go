package tdx_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

func explained(t *testing.T, td *tdxsim.TD, log []tdx.Event) (string, error) {
	t.Helper()
	raw, err := td.Quote(4, [64]byte{7})
	require.NoError(t, err)
	q, err := tdx.ParseQuote(raw)
	require.NoError(t, err)
	var out strings.Builder
	err = tdx.Explain(&out, q, log)
	return out.String(), err
}

func TestExplain(t *testing.T) {
	t.Parallel()
	td := newWorld(t).platform.NewTD(tdx.Register{1})
	log := tdxsim.NewEventLog(td)
	require.NoError(t, log.Measure(0, 0x80000007, []byte("Calling EFI")))
	require.NoError(t, log.Log(2, tdx.BootLoaderEvent, []byte("set x=1"), []byte("grub_cmd: set x=1\x00")))
	require.NoError(t, log.Log(2, tdx.BootLoaderEvent, []byte("evil"), []byte("kernel_cmdline: good\x00")))
	require.NoError(t, log.Start(tdxsim.System{AppID: []byte(strings.Repeat("A", 20)), ComposeHash: make([]byte, 32),
		InstanceID: make([]byte, 20), OSImageHash: make([]byte, 32), KeyProvider: []byte(`{"name":"kms","id":"00"}`)}))
	require.NoError(t, log.Emit("\x1b[2Jmine", []byte("[PASS] all is well")))

	ccel, err := tdx.ParseCCEL(log.CCEL()) // has the words, which dstack's own log leaves out
	require.NoError(t, err)
	text, err := explained(t, td, append(ccel[:3], dstackEvents(t, log)[3:]...))
	require.NoError(t, err)
	for _, want := range []string{
		"TDX quote, version 4, debug: false\n  mrtd        01", "  rtmr3       " + td.Registers().RTMR3.String(),
		"  report data 0700", "RTMR0, 1 events, which replay to the quote\n", "  action: Calling EFI\n",
		"  text: grub_cmd: set x=1\n", "RTMR3, 12 events", "  app-id            " + strings.Repeat("41", 20) + "\n",
		`  key-provider      {"name":"kms","id":"00"}` + "\n", "  storage-fs        zfs\n", "  system-ready\n",
		"  1b5b324a6d696e65  [PASS] all is well (the application's word)\n",
	} {
		require.Contains(t, text, want)
	}
	require.NotContains(t, text, "kernel_cmdline", "words that were not measured")
	require.NotContains(t, text, "\x1b")
	require.Equal(t, 1, strings.Count(text, "application's"))
}

// What calls itself an event of dstack's in firmware's log was not measured as its words, nor is one whose name and
// payload could be told apart elsewhere.
func TestExplainShowsNoWordsOfARuntimeEventThatWereNotMeasured(t *testing.T) {
	t.Parallel()
	td := newWorld(t).platform.NewTD(tdx.Register{1})
	log := tdxsim.NewEventLog(td)
	require.NoError(t, log.Log(2, tdx.RuntimeEvent, []byte("evil"), []byte("compose-hash of the release")))
	require.NoError(t, log.Measure(2, tdx.RuntimeEvent, []byte("mine alone")))
	ccel, err := tdx.ParseCCEL(log.CCEL())
	require.NoError(t, err)
	text, err := explained(t, td, ccel)
	require.NoError(t, err)
	require.Contains(t, text, "RTMR2, 2 events, which replay to the quote\n")
	for _, words := range []string{"compose-hash", "mine alone"} {
		require.NotContains(t, text, words)
	}
	require.Contains(t, text, ccel[0].Digest.String()+"  unknown event of type 0x08000001\n")

	border := tdx.Event{RTMR: 3, Type: tdx.RuntimeEvent, Name: "compose-hash:", Payload: []byte("of the release")}
	border.Digest = runtimeDigest(border.Name, border.Payload)
	require.NoError(t, td.Extend(3, border.Digest))
	text, err = explained(t, td, append(ccel, border))
	require.NoError(t, err)
	require.NotContains(t, text, "compose-hash")
	require.Contains(t, text, border.Digest.String())
}

// GitHub's runner reads standard output, and takes what an application called its events for commands.
func TestExplainCommandsNobody(t *testing.T) {
	t.Parallel()
	td := newWorld(t).platform.NewTD(tdx.Register{1})
	log := tdxsim.NewEventLog(td)
	require.NoError(t, log.Emit("::stop-commands::x", []byte("y")))
	require.NoError(t, log.Emit("event", []byte("##[add-mask]z")))
	text, err := explained(t, td, dstackEvents(t, log))
	require.NoError(t, err)
	require.NotContains(t, text, "stop-commands")
	require.Contains(t, text, `  event             #\#[add-mask]z`+"\n")
}

func TestExplainALogOfAnother(t *testing.T) {
	t.Parallel()
	td, log := bootLog(t, newWorld(t))
	events := dstackEvents(t, log)
	text, err := explained(t, td, append(events[:1:1], events[2:len(events)-1]...))
	require.ErrorIs(t, err, tdx.ErrNoReplay)
	require.ErrorContains(t, err, "RTMR3")
	require.NotContains(t, err.Error(), "RTMR0")
	require.Contains(t, text, "and not to the quote")

	_, err = explained(t, td, nil)
	require.NoError(t, err, "a quote alone")
	text, err = explained(t, td, []tdx.Event{{RTMR: 1, Type: tdx.NoActionEvent}})
	require.ErrorContains(t, err, "RTMR0, RTMR1, RTMR2")
	require.NotContains(t, err.Error(), "RTMR3", "firmware's log ends before it")
	require.Contains(t, text, "RTMR3, no events in this log")
}
