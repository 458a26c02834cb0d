package propose_test

import (
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies/propose"
)

const (
	global  = "\x61\xdf\xe4\x8b\xca\x93\xd2\x11\xaa\x0d\x00\xe0\x98\x03\x2b\x8c"
	systemd = "\x4b\x64\xf2\x8c\x0b\x4b\x8f\x42\x93\x87\x6d\x87\x60\x50\xdc\x67"
)

// volume is what firmware logs of the volume with its variables, of which content alone is measured.
func volume(content string) tdx.Event {
	payload := append([]byte("\x03Fv\x00"), make([]byte, 16)...)
	return tdx.Event{Type: 0x8000000a, Payload: payload, Digest: sha512.Sum384([]byte(content))}
}

func acpi(content string) tdx.Event {
	return tdx.Event{Type: 0xa, Payload: []byte("ACPI DATA"), Digest: sha512.Sum384([]byte(content))}
}

// variable is one of the log, of whose bytes the whole is measured, or the value alone.
func variable(vendor, name, value string) tdx.Event {
	payload := []byte(vendor)
	payload = binary.LittleEndian.AppendUint64(payload, uint64(len(name)))
	payload = binary.LittleEndian.AppendUint64(payload, uint64(len(value)))
	for _, c := range name {
		payload = binary.LittleEndian.AppendUint16(payload, uint16(c))
	}
	payload = append(payload, value...)
	return tdx.Event{Type: 0x80000001, Payload: payload, Digest: sha512.Sum384(payload)}
}

func bootVariable(name, value string) tdx.Event {
	e := variable(global, name, value)
	e.Type, e.Digest = 0x80000002, sha512.Sum384([]byte(value))
	return e
}

// bootLog is a boot of a machine like Google's.
func bootLog() []tdx.Event {
	return []tdx.Event{volume("variables"), variable(global, "SecureBoot", "\x00"), variable(global, "db", "certificates"),
		acpi("tables"), acpi("more tables"), bootVariable("BootOrder", "\x01\x00"),
		bootVariable("Boot0001", "\x01\x00\x00\x00\x00\x00d\x00\x00\x00")}
}

// movedLog is the same after a change of the firmware.
func movedLog() []tdx.Event {
	out := bootLog()
	out[0], out[4], out[5] = volume("others"), acpi("newer tables"), bootVariable("BootOrder", "\x01\x00\x00\x00")
	return out
}

func TestWhatAPlatformMoves(t *testing.T) {
	t.Parallel()
	w := promoted(t)
	p, err := propose.Refresh(t.Context(), w.client, w.main(), propose.Observation{Profile: release.Debug, Day: day,
		Published: published(t, "1.2.0", firmware), Platform: platform()})
	require.NoError(t, err)
	require.Contains(t, p.Grounds, "## What moved RTMR0\n\n| profile | event | |\n|---|---|---|\n"+
		"| debug | `firmware volume Fv, ")
	require.Contains(t, p.Grounds, "| debug | `boot order: 0001, 0000 (")
	require.Contains(t, p.Grounds, "`platform configuration ACPI DATA: ")
	require.NotContains(t, p.Grounds, "accepted")
}

// With another log than the platform's own change: what somebody did to the machine.
func refreshWith(t *testing.T, w *world, log []tdx.Event, edit func(*propose.Platform)) (*propose.Proposal, error) {
	t.Helper()
	data := published(t, "1.2.0", func(_ release.Profile, m *measurement.Profile) { m.RTMR0 = tdx.Replay(log, 0) })
	o := propose.Observation{Profile: release.Debug, Day: day, Published: data, Platform: platform()}
	o.Platform.Seen = boots(log)
	if edit != nil {
		edit(&o.Platform)
	}
	return propose.Refresh(t.Context(), w.client, w.main(), o)
}

func TestWhatNoPlatformMoves(t *testing.T) {
	t.Parallel()
	w := promoted(t)
	with := func(i int, e tdx.Event) []tdx.Event {
		out := movedLog()
		out[i] = e
		return out
	}
	lying := bootVariable("BootOrder", "\x02\x00")
	lying.Payload = bootVariable("BootOrder", "\x01\x00").Payload
	for name, tc := range map[string]struct {
		log  []tdx.Event
		says string
	}{
		"Secure Boot":      {with(1, variable(global, "SecureBoot", "\x01")), "variable SecureBoot: on ("},
		"another database": {with(2, variable(global, "db", "theirs")), "variable db: 6 bytes ("},
		"systemd's command line": {append(movedLog(), variable(systemd, "SystemdOptions", "systemd.run=id")),
			"variable SystemdOptions of vendor"},
		"a boot option with a command line": {with(6, bootVariable("Boot0001",
			"\x01\x00\x00\x00\x00\x00d\x00\x00\x00init=/bin/sh")), "boot option 0001: d, with load options init=/bin/sh"},
		"a boot option more": {append(movedLog(), bootVariable("Boot0002",
			"\x01\x00\x00\x00\x00\x00e\x00\x00\x00")), "boot option 0002: new"},
		"a table fewer": {slices.Delete(movedLog(), 3, 4), "platform configuration ACPI DATA: gone"},
		"another flag": {with(3, tdx.Event{Type: 0xa, Payload: []byte("FLAGS"), Digest: tdx.Register{1}}),
			"platform configuration FLAGS: new"},
		"a boot order worded otherwise": {with(5, lying), "boot order: "},
		"a volume elsewhere": {with(0, tdx.Event{Type: 0x8000000a,
			Payload: append([]byte("\x03Fv\x00\x01"), make([]byte, 15)...)}), "firmware volume Fv, 0 bytes at 0x1: new"},
		"an event that is not understood": {append(movedLog(), tdx.Event{Type: 0x80000099}),
			"unknown event of type 0x80000099: new"},
		"another order": {slices.Concat(movedLog()[1:2], movedLog()[:1], movedLog()[2:]),
			"firmware volume Fv, 0 bytes at 0x0: gone"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := refreshWith(t, w, tc.log, nil)
			var f *fault.Error
			require.ErrorAs(t, err, &f)
			require.Equal(t, fault.Verification, f.Code)
			require.Contains(t, f.Message, "RTMR0 of debug moved by an event that no platform moves by itself")
			require.Contains(t, f.Got, tc.says)
			require.Contains(t, f.Hint, "-accept=")
		})
	}
}

func TestAcceptedMoves(t *testing.T) {
	t.Parallel()
	w := promoted(t)
	log := movedLog()
	log[2] = variable(global, "db", "theirs")
	accept := func(reason string, names ...string) func(*propose.Platform) {
		return func(p *propose.Platform) { p.Accept, p.Reason = names, reason }
	}
	p, err := refreshWith(t, w, log, accept("Google's notice of 2 May: a certificate `more`", "variable db"))
	require.NoError(t, err)
	require.Contains(t, p.Grounds, "| debug | `variable db: 6 bytes (")
	require.Contains(t, p.Grounds, "| **accepted** |\n")
	require.Contains(t, p.Grounds, "\nAccepted, because: `Google's notice of 2 May: a certificate 'more'`\n")

	host := append(movedLog(), variable(systemd, "SystemdOptions", "x"))
	const hostName = "variable SystemdOptions of vendor 8cf2644b-4b0b-428f-9387-6d876050dc67"
	for name, tc := range map[string]struct {
		log  []tdx.Event
		edit func(*propose.Platform)
		code fault.Code
		says string
	}{
		"another name":   {log, accept("a notice of theirs", "variable dbx"), fault.Verification, "no platform moves"},
		"no reason":      {log, accept(" ", "variable db"), fault.Usage, "needs a reason"},
		"a reason alone": {log, accept("a notice of theirs"), fault.Usage, "a reason for nothing"},
		"one name too many": {log, accept("a notice of theirs", "variable db", "variable KEK"), fault.Usage,
			"did not move"},
		"what may move anyway": {movedLog(), accept("a notice of theirs", "boot order"), fault.Usage, "may move anyway"},
		"what the host says":   {host, accept("a notice of theirs", hostName), fault.Verification, "no platform moves"},
		"no log of what is seen": {movedLog(), func(p *propose.Platform) { p.Seen = nil }, fault.MissingAsset,
			"the observation has no event log"},
		"a log of other registers": {movedLog(), func(p *propose.Platform) { p.Seen = boots(bootLog()) }, fault.Verification,
			"the event log of the observation, debug, is not of its RTMR0"},
		"a release without its log": {movedLog(), func(p *propose.Platform) {
			p.Promoted = func(release.Tag) (propose.Boots, error) { return propose.Boots{}, nil }
		}, fault.MissingAsset, "mero-tee-v1.2.0 has no event log"},
		"a release that cannot be read": {movedLog(), func(p *propose.Platform) {
			p.Promoted = func(release.Tag) (propose.Boots, error) { return nil, errors.New("no network") }
		}, fault.General, "no network"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := refreshWith(t, w, tc.log, tc.edit)
			require.ErrorContains(t, err, tc.says)
			require.Equal(t, tc.code, fault.CodeOf(err))
		})
	}
}

// The same RTMR0 under another MRTD needs no log: nothing of it moved.
func TestNothingOfRTMR0Moved(t *testing.T) {
	t.Parallel()
	w := promoted(t)
	data := published(t, "1.2.0", func(_ release.Profile, m *measurement.Profile) { m.MRTD[0] ^= 1 })
	p, err := propose.Refresh(t.Context(), w.client, w.main(), propose.Observation{Published: data, Day: day})
	require.NoError(t, err)
	require.NotContains(t, p.Grounds, "What moved RTMR0")
}
