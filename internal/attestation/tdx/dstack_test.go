package tdx_test

import (
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

// runtimeDigest is SHA384(le32(0x08000001) ":" name ":" payload), what dstack
// extends RTMR3 with for an event of version 1.
func runtimeDigest(name string, payload []byte) tdx.Register {
	return sha512.Sum384(slices.Concat([]byte{1, 0, 0, 8}, []byte(":"+name+":"), payload))
}

func dstackEvents(t testing.TB, log *tdxsim.EventLog) []tdx.Event {
	t.Helper()
	raw, err := log.Dstack()
	require.NoError(t, err)
	events, err := tdx.ParseDstackLog(raw)
	require.NoError(t, err)
	return events
}

// The three forms that dstack has: stripped since 0.5.6, whole before, and with
// "event_log_version": 2, stripped or whole.
func TestEveryFormOfADstackLogReplays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, options := range map[string][]tdxsim.LogOption{
		"stripped":            nil,
		"whole":               {tdxsim.Unstripped},
		"version 2, stripped": {tdxsim.Version2},
		"version 2, whole":    {tdxsim.Version2, tdxsim.Unstripped},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			td, log := bootLog(t, w, options...)
			events := dstackEvents(t, log)
			requireReplays(t, events, td.Registers(), 4)
			trusted, err := tdx.DstackBoot(events, td.Registers())
			require.NoError(t, err)
			var names []string
			for i, e := range trusted {
				names = append(names, e.Name)
				require.Equal(t, payloadOf(e.Name, i), e.Payload)
			}
			require.Equal(t, bootNames(), names, "those before system-ready")
		})
	}
}

func TestDstackBootReplaysEveryRegister(t *testing.T) {
	t.Parallel()
	td, log := bootLog(t, newWorld(t))
	for name, change := range map[string]func(*tdx.Registers){
		"RTMR0": func(r *tdx.Registers) { r.RTMR0[0] ^= 1 },
		"RTMR1": func(r *tdx.Registers) { r.RTMR1[0] ^= 1 },
		"RTMR2": func(r *tdx.Registers) { r.RTMR2[0] ^= 1 },
		"RTMR3": func(r *tdx.Registers) { r.RTMR3[0] ^= 1 },
	} {
		quoted := td.Registers()
		change(&quoted)
		_, err := tdx.DstackBoot(dstackEvents(t, log), quoted)
		require.ErrorContains(t, err, "event log replays to "+name)
	}
}

func TestRuntimeEventsRefuses(t *testing.T) {
	t.Parallel()
	_, log := bootLog(t, newWorld(t))
	honest := dstackEvents(t, log)
	event := func(name string) tdx.Event {
		return tdx.Event{RTMR: 3, Type: tdx.RuntimeEvent, Name: name, Digest: runtimeDigest(name, nil)}
	}
	kms := tdx.Event{RTMR: 3, Type: tdx.RuntimeEvent, Name: "mr-kms", Payload: make([]byte, 32),
		Digest: runtimeDigest("mr-kms", make([]byte, 32))}
	const first = 3 // of RTMR3
	type lines = []tdx.Event
	for name, tc := range map[string]struct {
		change func(lines) lines
		want   string
	}{
		"other payload":    {func(l lines) lines { l[first].Payload = []byte("other"); return l }, "not that of its payload"},
		"other name":       {func(l lines) lines { l[first].Name = "other"; return l }, "not that of its payload"},
		"other version":    {func(l lines) lines { l[first].Version = 2; return l }, "not that of its payload"},
		"unknown version":  {func(l lines) lines { l[first].Version = 3; return l }, "version 3"},
		"other type":       {func(l lines) lines { l[first].Type = 4; return l }, "has type 0x4"},
		"unlogged type":    {func(l lines) lines { l[first].Type = tdx.NoActionEvent; return l }, "has type 0x3"},
		"twice":            {func(l lines) lines { return slices.Insert(l, first, event("compose-hash")) }, "twice"},
		"twice, later":     {func(l lines) lines { return append(l, event("compose-hash")) }, "twice"},
		"ready twice":      {func(l lines) lines { return append(l, event("system-ready")) }, "twice"},
		"service between":  {func(l lines) lines { return slices.Insert(l, first, kms) }, `"mr-kms" is in RTMR3 twice`},
		"service later":    {func(l lines) lines { return append(l, kms) }, `"mr-kms" is in RTMR3 twice`},
		"service, no hash": {func(l lines) lines { return slices.Insert(l, first, event("mr-kms")) }, "not a SHA-256"},
		"colon in name":    {func(l lines) lines { return append(l, event("a:b")) }, "colon"},
		"no name":          {func(l lines) lines { return append(l, event("")) }, "empty"},
		"never ready":      {func(l lines) lines { return l[:first+4] }, "no system-ready"},
		"no event at all":  {func(lines) lines { return nil }, "no system-ready"},
		"border moved":     {func(l lines) lines { l[first] = moved(l[first]); return l }, "colon"},
		"application only": {func(lines) lines { return lines{event("compose-hash")} }, "no system-ready"},
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
	e.Digest = runtimeDigest(e.Name, e.Payload)
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

// Who asks for the one event of a name never gets one of several.
func TestNamed(t *testing.T) {
	t.Parallel()
	td, log := bootLog(t, newWorld(t))
	trusted, err := tdx.DstackBoot(dstackEvents(t, log), td.Registers())
	require.NoError(t, err)
	e, err := tdx.Named(trusted, "compose-hash")
	require.NoError(t, err)
	require.Equal(t, "compose-hash", e.Name)
	for name, want := range map[string]string{"mr-kms": "2 events", "application": "0 events",
		"system-ready": "0 events"} {
		_, err := tdx.Named(trusted, name)
		require.ErrorContains(t, err, want, name)
	}
}

func TestParseDstackLogRefuses(t *testing.T) {
	t.Parallel()
	digest := runtimeDigest("a", []byte{0}).String()
	good := `{"imr":3,"event_type":134217729,"digest":"` + digest + `","event":"a","event_payload":"00"}`
	boot := `{"imr":0,"event_type":4,"digest":"` + digest + `","event":"","event_payload":""}`
	change := func(event, old, new string) string {
		require.Contains(t, event, old)
		return "[" + strings.Replace(event, old, new, 1) + "]"
	}
	const stripped = `"event_payload":"00"`
	for _, honest := range []string{"[" + good + "," + boot + "]", change(good, digest, ""),
		change(good, stripped, stripped+`,"version":1`), change(good, stripped, stripped+`,"later":"field"`)} {
		_, err := tdx.ParseDstackLog([]byte(honest))
		require.NoError(t, err)
	}
	for name, tc := range map[string]struct{ in, want string }{
		"no JSON":               {"imr", "invalid character"},
		"no array":              {good, "cannot unmarshal object"},
		"empty":                 {"[]", "0 events"},
		"null":                  {"null", "0 events"},
		"imr":                   {change(good, `"imr":3`, `"imr":4`), "imr 4"},
		"negative imr":          {change(good, `"imr":3`, `"imr":-1`), "imr -1"},
		"short digest":          {change(good, digest[:2], ""), "94 hex digits"},
		"another's digest":      {change(good, `"event":"a"`, `"event":"b"`), `"b" of RTMR3: its digest is not that`},
		"boot event, no digest": {change(boot, digest, ""), "it has no digest: of type 0x4"},
		"boot event, version 2": {change(boot, `"event":""`, `"event":"","version":2`), "only a runtime event"},
		"boot event, preimage":  {change(boot, `"event":""`, `"event":"","preimage":""`), "only a runtime event"},
		"version 0":             {change(good, stripped, stripped+`,"version":0`), "version 0 is not one"},
		"version 3":             {change(good, stripped, stripped+`,"version":3`), "version 3 is not one"},
		"boot event, version 3": {change(boot, `"event":""`, `"event":"","version":3`), "version 3 is not one"},
		"version 2, old digest": {change(good, stripped, stripped+`,"version":2`), "its digest is not that"},
		"negative version":      {change(good, stripped, stripped+`,"version":-1`), "cannot unmarshal"},
		"preimage of another":   {change(good, stripped, stripped+`,"preimage":"00"`), "preimage is not that of its name"},
		"preimage, no hex":      {change(good, stripped, stripped+`,"preimage":"x"`), "preimage is not that of its name"},
		"preimage without hash": {change(good, digest, `","preimage":"`), "preimage is not that of its name"},
		"payload":               {change(good, `payload":"00`, `payload":"0`), "payload"},
		"too many":              {"[" + strings.Repeat("{},", 4096) + "{}]", "4097 events"},
		"too large":             {strings.Repeat(" ", 1<<20+1), "larger than"},
		"trailing data":         {"[" + good + "]x", "invalid character"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tdx.ParseDstackLog([]byte(tc.in))
			require.ErrorContains(t, err, tc.want)
		})
	}
}

// Logs of version 2 as dstack writes them: digest and preimage are there, too.
func TestDstackLogVersion2(t *testing.T) {
	t.Parallel()
	parse := func(file string) ([]tdx.Event, error) {
		raw, err := os.ReadFile(filepath.Join("testdata", file))
		require.NoError(t, err)
		return tdx.ParseDstackLog(raw)
	}
	log, err := parse("dstack-version2.json")
	require.NoError(t, err)
	rtmr3, err := tdx.ParseRegister("0734e68d9d3cfb7e87b171fd5d59cd2e2fffee220121df07c1ac5422a847652d" +
		"4fcced33bd7decb5a53baf5f08c183f9")
	require.NoError(t, err)
	events, err := tdx.RuntimeEvents(log, rtmr3)
	require.NoError(t, err)
	require.Len(t, events, 4)
	require.Equal(t, "compose-hash", events[2].Name)
	require.Equal(t, strings.Repeat("22", 32), hex.EncodeToString(events[2].Payload))

	_, err = parse("dstack-version2-forged.json") // digest and preimage agree, the payload is another
	require.ErrorContains(t, err, `event 2, "compose-hash" of RTMR3: its preimage is not that of its name and payload`)
	_, err = parse("dstack-version3.json")
	require.ErrorContains(t, err, "version 3")
	require.ErrorIs(t, err, tdx.ErrUnknownVersion)
}

// RFC 8785, 3.2.2.2: only quotation mark, backslash and control characters are
// escaped, in their shortest form.
func TestVersion2HashesCanonicalJSON(t *testing.T) {
	t.Parallel()
	for name, canonical := range map[string]string{
		"compose-hash":       `compose-hash`,
		`say "hi" \ bye`:     `say \"hi\" \\ bye`,
		"\b\f\n\r\t\x01\x1f": `\b\f\n\r\t\u0001\u001f`,
		"<a> & \u2028 \x7f":  "<a> & \u2028 \x7f",
		"été 🦀":              "été 🦀",
	} {
		event, err := json.Marshal(map[string]any{"imr": 3, "event_type": tdx.RuntimeEvent, "digest": "", "event": name,
			"event_payload": "AB01", "version": 2})
		require.NoError(t, err)
		log, err := tdx.ParseDstackLog(append(append([]byte("["), event...), ']'))
		require.NoError(t, err)
		want := sha512.Sum384([]byte(`{"name":"` + canonical + `","payload":"ab01","type":134217729}`))
		require.Equal(t, tdx.Register(want), log[0].Digest, name)
	}
}
