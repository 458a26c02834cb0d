package tdx_test

import (
	"crypto/sha512"
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
)

func words(events []tdx.Event) []string {
	var out []string
	for _, e := range events {
		if e.Type != tdx.NoActionEvent {
			out = append(out, e.Describe().String())
		}
	}
	return out
}

// Google's machine, of which go-tdx-guest has quote and log.
func TestDescribesAGoogleBoot(t *testing.T) {
	t.Parallel()
	events, err := tdx.ParseCCEL(guestFile(t, "ccel/ccel_data.dat"))
	require.NoError(t, err)
	require.Equal(t, []string{
		"handoff table TdxTable (by the log's own word)",
		"firmware volume Fv(48DB5E17-707C-472D-91CD-1613E7EF51B0), 131072 bytes at 0xffe00000 (by the log's own word)",
		"variable SecureBoot: off",
		"variable PK: 1097 bytes",
		"variable KEK: 1106 bytes",
		"variable db: 1085 bytes",
		"variable dbx: 4461 bytes",
		"separator: 00000000",
		"platform configuration ACPI DATA (by the log's own word)",
		"platform configuration ACPI DATA (by the log's own word)",
		"platform configuration ACPI DATA (by the log's own word)",
		"boot order: 0001, 0000",
		"boot option 0001: UEFI nvme_card-pd",
		"boot option 0000: UiApp",
		"action: Calling EFI Application from Boot Option",
		"separator: 00000000",
		"partition table: 12 partitions",
	}, words(events)[:17])
	require.Contains(t, words(events), "authority SbatLevel: 18 bytes")
	for _, e := range events {
		require.NotEqual(t, tdx.KindUnknown, e.Describe().Kind, "%x", e.Payload)
		require.False(t, e.Describe().HostSays)
	}
}

// The logs of other machines: every event of them is understood.
func TestDescribesOtherBoots(t *testing.T) {
	t.Parallel()
	for name, wanted := range map[string][]string{
		"CCEL_data_gcp.bin": {"boot option 0001: UEFI nvme_card-pd", "partition table: 3 partitions"},
		"CCEL_data_grub.bin": {"variable SecureBoot: on", "authority db: 1572 bytes",
			"tagged event Linux initrd (by the log's own word)"},
		"CCEL_data_grub_gke.bin": {"section .cmdline: its name", "section .cmdline: its content (by the log's own word)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			events, err := tdx.ParseCCEL(sharedFile(t, "ccel", name))
			require.NoError(t, err)
			require.Subset(t, words(events), wanted)
			for _, e := range events {
				if e.Type != tdx.NoActionEvent {
					require.NotEqual(t, tdx.KindUnknown, e.Describe().Kind, "%x", e.Payload)
				}
			}
		})
	}
}

func text16(s string) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune(s)) {
		out = binary.LittleEndian.AppendUint16(out, u)
	}
	return out
}

// uefi is UEFI_VARIABLE_DATA. The vendor is in the bytes of its GUID.
func uefi(vendor, name string, value []byte) []byte {
	out := append([]byte(vendor), binary.LittleEndian.AppendUint64(nil, uint64(len(text16(name))/2))...)
	out = binary.LittleEndian.AppendUint64(out, uint64(len(value)))
	return append(append(out, text16(name)...), value...)
}

const (
	globalGUID  = "\x61\xdf\xe4\x8b\xca\x93\xd2\x11\xaa\x0d\x00\xe0\x98\x03\x2b\x8c"
	systemdGUID = "\x4b\x64\xf2\x8c\x0b\x4b\x8f\x42\x93\x87\x6d\x87\x60\x50\xdc\x67"
	loaderGUID  = "\x82\xb0\x67\x4a\x4c\x0a\xcf\x41\xb6\xc7\x44\x0b\x29\xbb\x8c\x4f"
	otherGUID   = "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10"
)

// option is EFI_LOAD_OPTION without paths.
func option(description string, optional string) []byte {
	return append(append([]byte{1, 0, 0, 0, 0, 0}, text16(description+"\x00")...), optional...)
}

const (
	configVariable = 0x80000001
	bootVariable   = 0x80000002
)

// What a host can hand to what is booted is found by whoever looks.
func TestWhatTheHostSays(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		event tdx.Event
		text  string
		host  bool
	}{
		"systemd's command line": {tdx.Event{Type: configVariable, Payload: uefi(systemdGUID, "SystemdOptions", []byte("x"))},
			"variable SystemdOptions of vendor 8cf2644b-4b0b-428f-9387-6d876050dc67: 1 bytes", true},
		"the boot stub's": {tdx.Event{Type: 0x8000000c, Payload: uefi(loaderGUID, "LoaderEntryOneShot", nil)},
			"variable LoaderEntryOneShot of vendor 4a67b082-0a4c-41cf-b6c7-440b29bb8c4f: 0 bytes", true},
		"a boot option's command line": {tdx.Event{Type: bootVariable, Payload: uefi(globalGUID, "Boot0002",
			option("x", "i\x00n\x00i\x00t\x00"))}, "boot option 0002: x, with load options 69006e0069007400", true},
		"another vendor's": {tdx.Event{Type: configVariable, Payload: uefi(otherGUID, "SystemdOptions", nil)},
			"variable SystemdOptions of vendor 04030201-0605-0807-090a-0b0c0d0e0f10: 0 bytes", false},
		"firmware's own option": {tdx.Event{Type: bootVariable, Payload: uefi(globalGUID, "Boot0002",
			option("x", "\x4e\xac\x08\x81\x11\x9f\x59\x4d\x85\x0e\xe2\x1a\x52\x2c\x59\xb2"))}, "boot option 0002: x", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := tc.event.Describe()
			require.Equal(t, tc.host, d.HostSays)
			want := tc.text + " (by the log's own word)"
			if tc.host {
				want += ": what boots reads it from the host"
			}
			require.Equal(t, want, d.String())
		})
	}
}

// A log of firmware has nothing from the host, and each way to have it is named.
func TestFromHost(t *testing.T) {
	t.Parallel()
	usual, err := tdx.ParseCCEL(guestFile(t, "ccel/ccel_data.dat"))
	require.NoError(t, err)
	require.Empty(t, tdx.FromHost(usual))
	event := func(kind uint32, payload []byte) tdx.Event {
		return tdx.Event{Type: kind, Payload: payload, Digest: sha512.Sum384(payload)}
	}
	options := event(configVariable, uefi(systemdGUID, "SystemdOptions", []byte("x")))
	secure := event(configVariable, uefi(globalGUID, "SecureBoot", []byte{0}))
	elsewhere, never, forged := options, options, secure
	elsewhere.RTMR, never.Type, forged.Digest = 1, tdx.NoActionEvent, tdx.Register{1}
	for name, tc := range map[string]struct {
		event tdx.Event
		want  string
	}{
		"a variable of systemd's": {options,
			"variable SystemdOptions of vendor 8cf2644b-4b0b-428f-9387-6d876050dc67: 1 bytes: " +
				"what boots reads it from the host"},
		"worded otherwise than measured": {forged, "variable SecureBoot: off (by the log's own word)"},
		"firmware's own":                 {secure, ""},
		"in another register":            {elsewhere, ""},
		"never extended":                 {never, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := []string{tc.want}
			if tc.want == "" {
				want = nil
			}
			require.Equal(t, want, tdx.FromHost(append(usual[:len(usual):len(usual)], tc.event)))
		})
	}
}

// Words of which the digest is not are the log's own; those that cannot be read are no words.
func TestMeasuredWords(t *testing.T) {
	t.Parallel()
	order := []byte{1, 0, 0, 0}
	payload := uefi(globalGUID, "BootOrder", order)
	e := tdx.Event{Type: bootVariable, Payload: payload, Digest: sha512.Sum384(order)}
	require.Equal(t, "boot order: 0001, 0000", e.Describe().String())
	e.Digest = sha512.Sum384(payload)
	require.False(t, e.Describe().Measured, "of a boot variable the value alone is measured")
	e.Type = 0x8000000c
	require.True(t, e.Describe().Measured, "of the second form, everything")
	for name, e := range map[string]tdx.Event{
		"unknown type":            {Type: 0x80000099, Payload: payload},
		"variable cut off":        {Type: configVariable, Payload: payload[:len(payload)-1]},
		"variable with more":      {Type: configVariable, Payload: append(payload[:len(payload):len(payload)], 0)},
		"name of 2^63 characters": {Type: configVariable, Payload: append([]byte(globalGUID), strings.Repeat("\xff", 16)...)},
		"option without its end": {Type: bootVariable, Payload: uefi(globalGUID, "Boot0001",
			[]byte{1, 0, 0, 0, 0, 0, 'x', 0})},
		"option with paths that are not there": {Type: bootVariable, Payload: uefi(globalGUID, "Boot0001",
			[]byte{1, 0, 0, 0, 9, 0, 0, 0})},
		"volume without its place": {Type: 0x8000000a, Payload: []byte("\x02Fv")},
		"table's name too long":    {Type: 0x8000000b, Payload: []byte("\xffTdxTable")},
		"separator of five bytes":  {Type: 4, Payload: make([]byte, 5)},
		"configuration of nothing": {Type: 0xa},
		"tag that is longer":       {Type: 6, Payload: []byte("\x01\x00\x00\x00\xff\x00\x00\x00x")},
		"table with fewer entries": {Type: 0x80000006, Payload: append([]byte("EFI PART"), make([]byte, 92)...)[:99]},
		"table with a wrong number": {Type: 0x80000006,
			Payload: append(append([]byte("EFI PART"), make([]byte, 84)...), 1, 0, 0, 0, 0, 0, 0, 0)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := e.Describe()
			require.Equal(t, tdx.KindUnknown, d.Kind)
			require.False(t, d.Measured)
			require.Contains(t, d.Name(), "unknown event of type 0x")
		})
	}
}
