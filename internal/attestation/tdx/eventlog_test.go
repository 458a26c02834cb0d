package tdx_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

// bootLog is a dstack boot: what the platform measures, then an application's event.
func bootLog(t testing.TB, w *world) (*tdxsim.TD, *tdxsim.EventLog) {
	t.Helper()
	td := w.platform.NewTD(tdx.Register{1})
	log := tdxsim.NewEventLog(td)
	for rtmr := range 3 {
		require.NoError(t, log.Measure(rtmr, 4, []byte{0, 0, 0, byte(rtmr)}))
	}
	for _, name := range []string{"app-id", "compose-hash", "instance-id", "key-provider", "system-ready", "application",
		"application"} {
		require.NoError(t, log.Emit(name, []byte("payload of "+name)))
	}
	return td, log
}

func dstackEvents(t testing.TB, log *tdxsim.EventLog) []tdx.Event {
	t.Helper()
	raw, err := log.Dstack()
	require.NoError(t, err)
	events, err := tdx.ParseDstackLog(raw)
	require.NoError(t, err)
	return events
}

func TestRuntimeEventsAreThoseBeforeSystemReady(t *testing.T) {
	t.Parallel()
	td, log := bootLog(t, newWorld(t))
	events := dstackEvents(t, log)
	trusted, err := tdx.RuntimeEvents(events, td.Registers().RTMR3)
	require.NoError(t, err)
	var names []string
	for _, e := range trusted {
		names = append(names, e.Name)
		require.Equal(t, "payload of "+e.Name, string(e.Payload))
	}
	require.Equal(t, []string{"app-id", "compose-hash", "instance-id", "key-provider"}, names)
}

func TestRuntimeEventsRefuses(t *testing.T) {
	t.Parallel()
	_, log := bootLog(t, newWorld(t))
	honest := dstackEvents(t, log)
	event := func(name string) tdx.Event {
		return tdx.Event{RTMR: 3, Type: tdx.RuntimeEvent, Name: name, Digest: tdx.RuntimeDigest(name, nil)}
	}
	const first = 3 // of RTMR3
	for name, tc := range map[string]struct {
		change func([]tdx.Event) []tdx.Event
		want   string
	}{
		"other payload": {func(l []tdx.Event) []tdx.Event { l[first].Payload = []byte("other"); return l },
			"not that of its payload"},
		"other name": {func(l []tdx.Event) []tdx.Event { l[first].Name = "other"; return l },
			"not that of its payload"},
		"other type":    {func(l []tdx.Event) []tdx.Event { l[first].Type = 4; return l }, "has type 0x4"},
		"unlogged type": {func(l []tdx.Event) []tdx.Event { l[first].Type = tdx.NoActionEvent; return l }, "has type 0x3"},
		"twice": {func(l []tdx.Event) []tdx.Event { return slices.Insert(l, first, event("compose-hash")) },
			"twice"},
		"twice, later":     {func(l []tdx.Event) []tdx.Event { return append(l, event("compose-hash")) }, "twice"},
		"ready twice":      {func(l []tdx.Event) []tdx.Event { return append(l, event("system-ready")) }, "twice"},
		"colon in name":    {func(l []tdx.Event) []tdx.Event { return append(l, event("a:b")) }, "colon"},
		"no name":          {func(l []tdx.Event) []tdx.Event { return append(l, event("")) }, "empty"},
		"never ready":      {func(l []tdx.Event) []tdx.Event { return l[:first+4] }, "no system-ready"},
		"no event at all":  {func([]tdx.Event) []tdx.Event { return nil }, "no system-ready"},
		"border moved":     {func(l []tdx.Event) []tdx.Event { l[first] = moved(l[first]); return l }, "colon"},
		"application only": {func([]tdx.Event) []tdx.Event { return []tdx.Event{event("compose-hash")} }, "no system-ready"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := tc.change(slices.Clone(honest))
			_, err := tdx.RuntimeEvents(log, tdx.Replay(log, 3)) // the register follows, so only the check can object
			require.ErrorContains(t, err, tc.want)
		})
	}
}

// moved is the same digest read as another name and payload.
func moved(e tdx.Event) tdx.Event {
	e.Name, e.Payload = e.Name+":pay", []byte("load")
	e.Digest = tdx.RuntimeDigest(e.Name, e.Payload)
	return e
}

func TestRuntimeEventsRefusesAnotherRegister(t *testing.T) {
	t.Parallel()
	td, log := bootLog(t, newWorld(t))
	events := dstackEvents(t, log)
	for name, changed := range map[string][]tdx.Event{
		"one missing": slices.Delete(slices.Clone(events), 3, 4),
		"one more":    append(slices.Clone(events), events[3]),
		"reordered":   append(slices.Clone(events[4:]), events[:4]...),
	} {
		_, err := tdx.RuntimeEvents(changed, td.Registers().RTMR3)
		require.ErrorContains(t, err, "replays to RTMR3", name)
	}
}

func TestParseDstackLogRefuses(t *testing.T) {
	t.Parallel()
	good := `{"imr":3,"event_type":134217729,"digest":"` + strings.Repeat("00", 48) + `","event":"a","event_payload":"00"}`
	_, err := tdx.ParseDstackLog([]byte("[" + good + "]"))
	require.NoError(t, err)
	for name, tc := range map[string]struct{ in, want string }{
		"no JSON":       {"imr", "invalid character"},
		"no array":      {good, "cannot unmarshal object"},
		"empty":         {"[]", "0 events"},
		"null":          {"null", "0 events"},
		"imr":           {"[" + strings.Replace(good, `"imr":3`, `"imr":4`, 1) + "]", "event 0: imr 4"},
		"negative imr":  {"[" + strings.Replace(good, `"imr":3`, `"imr":-1`, 1) + "]", "imr -1"},
		"short digest":  {"[" + strings.Replace(good, "0000", "", 1) + "]", "92 hex digits"},
		"payload":       {"[" + strings.Replace(good, `payload":"00`, `payload":"0`, 1) + "]", "payload"},
		"too many":      {"[" + strings.Repeat("{},", 4096) + "{}]", "4097 events"},
		"too large":     {strings.Repeat(" ", 1<<20+1), "larger than"},
		"trailing data": {"[" + good + "]x", "invalid character"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tdx.ParseDstackLog([]byte(tc.in))
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestParseCCELReplays(t *testing.T) {
	t.Parallel()
	td, log := bootLog(t, newWorld(t))
	raw := log.CCEL()
	for name, area := range map[string][]byte{
		"filled with ff": raw,
		"filled with 0":  slices.Concat(raw[:len(raw)-4096], make([]byte, 100)),
		"full":           raw[:len(raw)-4096],
	} {
		events, err := tdx.ParseCCEL(area)
		require.NoError(t, err, name)
		require.Len(t, events, 10)
		requireReplays(t, events, td.Registers(), 4)
	}
}

func TestParseCCELRefuses(t *testing.T) {
	t.Parallel()
	_, log := bootLog(t, newWorld(t))
	raw := log.CCEL()
	const event = 32 + 33 // where the first event begins
	change := func(at int, b byte) []byte {
		changed := bytes.Clone(raw)
		changed[at] = b
		return changed
	}
	for name, tc := range map[string]struct {
		in   []byte
		want string
	}{
		"empty":            {nil, "Spec ID"},
		"header's type":    {change(4, 4), "Spec ID"},
		"header's name":    {change(32, 'X'), "Spec ID"},
		"header's size":    {change(31, 0xff), "Spec ID"},
		"register":         {change(event, 5), "register 5"},
		"digest count":     {change(event+8, 2), "with 2 digests"},
		"digest algorithm": {change(event+12, 0x0b), "algorithm 0xb"},
		"payload size":     {change(event+14+48+3, 0x7f), "ends inside"},
		"ends inside":      {raw[:event+20], "event 0: event log ends inside"},
		"dirty area":       {change(len(raw)-1, 1), "event 10"},
		"too large":        {make([]byte, 1<<20+1), "larger than"},
		"too many":         {append(bytes.Clone(raw[:event]), bytes.Repeat(raw[event:event+70], 4097)...), "more than 4096"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tdx.ParseCCEL(tc.in)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestReplaySkipsWhatWasNeverExtended(t *testing.T) {
	t.Parallel()
	require.True(t, tdx.Replay([]tdx.Event{{RTMR: 0, Type: tdx.NoActionEvent, Digest: tdx.Register{1}},
		{RTMR: 1, Type: 4}}, 0).IsZero())
}

// requireReplays says that events explain the first n RTMRs.
func requireReplays(t *testing.T, events []tdx.Event, registers tdx.Registers, n int) {
	t.Helper()
	values := registers.Values()
	for rtmr, want := range values[1 : 1+n] {
		require.Equal(t, want, tdx.Replay(events, rtmr), "RTMR%d", rtmr)
	}
}
