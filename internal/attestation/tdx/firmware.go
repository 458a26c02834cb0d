package tdx

import (
	"bytes"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Types of events that firmware, boot stub and kernel log, which the one that logs
// them to be read here makes too. Source: TCG PC Client Platform Firmware Profile 1.06, table 27.
const (
	SeparatorEvent    uint32 = 0x00000004 // EV_SEPARATOR
	TagEvent          uint32 = 0x00000006 // EV_EVENT_TAG
	ConfigEvent       uint32 = 0x0000000a // EV_PLATFORM_CONFIG_FLAGS
	VariableEvent     uint32 = 0x80000001 // EV_EFI_VARIABLE_DRIVER_CONFIG
	BootVariableEvent uint32 = 0x80000002 // EV_EFI_VARIABLE_BOOT
	ApplicationEvent  uint32 = 0x80000003 // EV_EFI_BOOT_SERVICES_APPLICATION
	PartitionsEvent   uint32 = 0x80000006 // EV_EFI_GPT_EVENT
	ActionEvent       uint32 = 0x80000007 // EV_EFI_ACTION
	VolumeEvent       uint32 = 0x8000000a // EV_EFI_PLATFORM_FIRMWARE_BLOB2
	HandoffEvent      uint32 = 0x8000000b // EV_EFI_HANDOFF_TABLES2
)

// Types that are only read.
const (
	evVariableBoot2     uint32 = 0x8000000c
	evVariableAuthority uint32 = 0x800000e0
)

// Kind is what an event is about.
type Kind string

// What firmware, a boot stub and the kernel measure. KindUnknown is everything
// that is not understood.
const (
	KindVolume      Kind = "firmware volume"
	KindHandoff     Kind = "handoff table"
	KindConfig      Kind = "platform configuration"
	KindVariable    Kind = "variable"
	KindAuthority   Kind = "authority"
	KindBootOrder   Kind = "boot order"
	KindBootOption  Kind = "boot option"
	KindSeparator   Kind = "separator"
	KindApplication Kind = "application"
	KindPartitions  Kind = "partition table"
	KindAction      Kind = "action"
	KindSection     Kind = "section"
	KindTagged      Kind = "tagged event"
	KindText        Kind = "text"
	KindUnknown     Kind = "unknown event"
)

// Description is an event in words.
type Description struct {
	Kind    Kind
	Subject string // which one of its kind, of the log's own word; at times empty
	Text    string // what is measured of it, when Measured; at times empty
	// Measured says that the event's digest is of Text's origin. Of everything
	// else the log tells only whose digest it claims this to be.
	Measured bool
	// HostSays says that what is booted reads this from whoever runs the machine.
	HostSays bool
}

// Name is kind and subject: what an event is called wherever people name one.
func (d Description) Name() string { return strings.TrimSpace(string(d.Kind) + " " + d.Subject) }

// String is the whole description, for a person.
func (d Description) String() string {
	out := d.Name()
	if d.Text != "" {
		out += ": " + d.Text
	}
	if !d.Measured && d.Kind != KindUnknown {
		out += " (by the log's own word)"
	}
	if d.HostSays {
		out += ": what boots reads it from the host"
	}
	return out
}

// FromHost names the events of RTMR0 by which whoever runs the machine has a say
// in what is booted: a variable that systemd or its boot stub reads, a boot
// option with a command line, and a variable or boot order that the log words
// otherwise than it was measured, which may be any of these. An empty list says
// that there is none. The log must have been replayed to a verified quote.
func FromHost(log []Event) []string {
	worded := []Kind{KindVariable, KindAuthority, KindBootOrder, KindBootOption}
	var out []string
	for _, e := range log {
		if e.RTMR != 0 || e.Type == NoActionEvent {
			continue
		}
		if d := e.Describe(); d.HostSays || !d.Measured && slices.Contains(worded, d.Kind) {
			out = append(out, d.String())
		}
	}
	return out
}

// Describe words an event of firmware's log. It reads payloads from outside and
// accepts any.
func (e Event) Describe() Description {
	d, ok := e.describe()
	if !ok {
		d = Description{Kind: KindUnknown, Subject: fmt.Sprintf("of type 0x%08x", e.Type)}
	}
	return d
}

func (e Event) describe() (Description, bool) {
	whole := e.Digest == sha512.Sum384(e.Payload)
	switch e.Type {
	case SeparatorEvent:
		return Description{Kind: KindSeparator, Text: hex.EncodeToString(e.Payload), Measured: whole}, len(e.Payload) == 4
	case ActionEvent:
		return Description{Kind: KindAction, Text: plain(e.Payload), Measured: whole}, true
	case ConfigEvent:
		return Description{Kind: KindConfig, Subject: plain(e.Payload)}, len(e.Payload) > 0 // the table is not in the log
	case VariableEvent, evVariableBoot2:
		return e.variable(func(variable) bool { return whole })
	case evVariableAuthority:
		d, ok := e.variable(func(variable) bool { return whole })
		d.Kind = KindAuthority
		return d, ok
	case BootVariableEvent: // the value alone is measured
		return e.variable(func(v variable) bool { return e.Digest == sha512.Sum384(v.value) })
	case VolumeEvent:
		return e.volume()
	case HandoffEvent:
		name, rest, ok := shortString(e.Payload)
		return Description{Kind: KindHandoff, Subject: name}, ok && len(rest) >= 8
	case ApplicationEvent:
		return Description{Kind: KindApplication, Text: "Authenticode " + e.Digest.String(), Measured: true}, true
	case PartitionsEvent:
		return e.partitions(whole)
	case TagEvent:
		return e.tagged()
	case BootLoaderEvent:
		return e.bootLoader()
	}
	return Description{}, false
}

// bootOption is the name of the variable of one boot option.
var bootOption = regexp.MustCompile(`^Boot[0-9A-F]{4}$`)

func (e Event) variable(measured func(variable) bool) (Description, bool) {
	v, ok := parseVariable(e.Payload)
	if !ok {
		return Description{}, false
	}
	d := Description{Kind: KindVariable, Subject: v.label(), Measured: measured(v)}
	d.HostSays = v.vendor == systemdVendor || v.vendor == loaderVendor
	switch {
	case v.vendor == globalVendor && v.name == "SecureBoot" && len(v.value) == 1:
		d.Text = map[byte]string{0: "off", 1: "on"}[v.value[0]]
	case v.vendor == globalVendor && v.name == "BootOrder" && len(v.value)%2 == 0:
		d.Kind, d.Subject, d.Text = KindBootOrder, "", order(v.value)
	case v.vendor == globalVendor && bootOption.MatchString(v.name):
		return d.option(v)
	default:
		d.Text = fmt.Sprintf("%d bytes", len(v.value))
	}
	return d, true
}

// option words a boot option. What it hands to a boot stub can be a command
// line, so that it is the host's word.
func (d Description) option(v variable) (Description, bool) {
	o, ok := parseLoadOption(v.value)
	d.Kind, d.Subject, d.Text = KindBootOption, strings.TrimPrefix(v.name, "Boot"), plain([]byte(o.description))
	if len(o.optional) > 0 && !bytes.Equal(o.optional, firmwareMade) {
		d.Text += ", with load options " + plain(o.optional)
		d.HostSays = true
	}
	return d, ok
}

// firmwareMade is what OVMF leaves in the boot options that it makes itself:
// mBmAutoCreateBootOptionGuid.
var firmwareMade = []byte{0x4e, 0xac, 0x08, 0x81, 0x11, 0x9f, 0x59, 0x4d, 0x85, 0x0e, 0xe2, 0x1a, 0x52, 0x2c,
	0x59, 0xb2}

func order(value []byte) string {
	var out []string
	for pair := range slices.Chunk(value, 2) {
		out = append(out, fmt.Sprintf("%04X", binary.LittleEndian.Uint16(pair)))
	}
	return strings.Join(out, ", ")
}

// volume is UEFI_PLATFORM_FIRMWARE_BLOB2: a name, an address, a length. The
// bytes themselves are not in the log.
func (e Event) volume() (Description, bool) {
	name, rest, ok := shortString(e.Payload)
	if !ok || len(rest) != 16 {
		return Description{}, false
	}
	at, size := binary.LittleEndian.Uint64(rest), binary.LittleEndian.Uint64(rest[8:])
	return Description{Kind: KindVolume, Subject: fmt.Sprintf("%s, %d bytes at %#x", name, size, at)}, true
}

// shortString is a length in one byte, and text.
func shortString(b []byte) (text string, rest []byte, ok bool) {
	if len(b) == 0 || int(b[0]) >= len(b) {
		return "", nil, false
	}
	return plain(bytes.TrimRight(b[1:1+b[0]], "\x00")), b[1+b[0]:], true
}

// Sizes of UEFI_GPT_DATA, in bytes.
const gptHeader, gptEntry = 92, 128

// partitions is UEFI_GPT_DATA: the header, a number, so many entries.
func (e Event) partitions(measured bool) (Description, bool) {
	if len(e.Payload) < gptHeader+8 || !bytes.HasPrefix(e.Payload, []byte("EFI PART")) {
		return Description{}, false
	}
	n := binary.LittleEndian.Uint64(e.Payload[gptHeader:])
	if n > 128 || uint64(len(e.Payload)) != gptHeader+8+n*gptEntry {
		return Description{}, false
	}
	return Description{Kind: KindPartitions, Text: fmt.Sprintf("%d partitions", n), Measured: measured}, true
}

// tagged is TCG_PCClientTaggedEvent: an ID, a length, the kernel's name for what it measured.
func (e Event) tagged() (Description, bool) {
	r := &logReader{rest: e.Payload}
	r.u32()
	name := r.take(r.u32())
	d := Description{Kind: KindTagged, Subject: plain(bytes.TrimRight(name, "\x00"))}
	return d, r.err == nil && len(r.rest) == 0
}

// sectionName is the name of a section of a unified kernel image.
var sectionName = regexp.MustCompile(`^\.[a-z0-9]{1,16}$`)

// bootLoader words EV_IPL. A stub logs each section twice, under its name in
// UTF-16: the digest of the name with a NUL behind it, then that of the content.
func (e Event) bootLoader() (Description, bool) {
	if name, ok := fromUTF16(e.Payload); ok {
		if name = strings.TrimRight(name, "\x00"); sectionName.MatchString(name) {
			d := Description{Kind: KindSection, Subject: name}
			if e.Digest == sha512.Sum384([]byte(name+"\x00")) {
				d.Text, d.Measured = "its name", true
			} else {
				d.Text = "its content"
			}
			return d, true
		}
	}
	d := Description{Kind: KindText}
	if text, proven := e.Text(); proven { // words that were not measured are easily taken for true: they are not shown
		d.Text, d.Measured = plain([]byte(text)), true
	}
	return d, true
}
