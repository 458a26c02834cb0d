package bootchain

import (
	"encoding/binary"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
)

// Vendors of UEFI variables, in the order of a GUID's bytes.
const (
	global   = "\x61\xdf\xe4\x8b\xca\x93\xd2\x11\xaa\x0d\x00\xe0\x98\x03\x2b\x8c"
	security = "\xcb\xb2\x19\xd7\x3a\x3d\x96\x45\xa3\xbc\xda\xd0\x0e\x67\x65\x6f"
)

// autoCreated is OVMF's mark on the boot options that it makes itself.
const autoCreated = "\x4e\xac\x08\x81\x11\x9f\x59\x4d\x85\x0e\xe2\x1a\x52\x2c\x59\xb2"

// Machine is what a host decides of a machine and firmware measures into RTMR0.
type Machine struct {
	Shape     string // of the machine: the memory map in the handoff table
	Variables string // the volume with the variables at launch
	Tables    string // ACPI
	Order     []byte // BootOrder: two bytes each, little-endian
	Secure    byte   // SecureBoot: 1 is on
}

// C3 is Google's machine of four CPUs, Secure Boot off.
func C3() Machine {
	return Machine{Shape: "c3-standard-4", Variables: "no variables of a guest's", Tables: "c3", Order: []byte{1, 0, 0, 0}}
}

// Events are what Google's firmware measured into RTMR0 in every public log of a
// TDX machine: the same types in the same order, with the same words. Of the
// volume, the tables and the handoff table the log has no bytes.
func (m Machine) Events() []tdx.Event {
	const (
		table = "\x09TdxTable\x00\x01\x00\x00\x00\x00\x00\x00\x00" +
			"\xaf\x96\xbb\x93\xf2\xb9\xb8\x4e\x94\x62\xe0\xba\x74\x56\x42\x36\x00\x90\x80\x00\x00\x00\x00\x00"
		volume = "\x29Fv(48DB5E17-707C-472D-91CD-1613E7EF51B0)\x00" +
			"\x00\x00\xe0\xff\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00"
		separator = "\x00\x00\x00\x00"
	)
	out := []tdx.Event{
		measured(tdx.HandoffEvent, "rehearsal memory of "+m.Shape, table),
		measured(tdx.VolumeEvent, "rehearsal volume: "+m.Variables, volume),
		configured(global, "SecureBoot", string(m.Secure)),
		configured(global, "PK", "rehearsal platform key"),
		configured(global, "KEK", "rehearsal key exchange keys"),
		configured(security, "db", "rehearsal certificates"),
		configured(security, "dbx", "rehearsal revocations"),
		measured(tdx.SeparatorEvent, separator, separator),
	}
	for _, name := range []string{"loader", "RSDP", "tables"} {
		out = append(out, measured(tdx.ConfigEvent, "rehearsal "+name+" of "+m.Tables, "ACPI DATA"))
	}
	return append(out, booted("BootOrder", string(m.Order)),
		booted("Boot0001", option("UEFI nvme_card-pd")), booted("Boot0000", option("UiApp")))
}

// configured is a variable of which the log's words are measured.
func configured(vendor, name, value string) tdx.Event {
	words := variable(vendor, name, value)
	return measured(tdx.VariableEvent, words, words)
}

// booted is a variable of which the value alone is measured.
func booted(name, value string) tdx.Event {
	return measured(tdx.BootVariableEvent, value, variable(global, name, value))
}

// variable is UEFI_VARIABLE_DATA.
func variable(vendor, name, value string) string {
	sizes := binary.LittleEndian.AppendUint64(nil, uint64(len(name)))
	sizes = binary.LittleEndian.AppendUint64(sizes, uint64(len(value)))
	return vendor + string(sizes) + text16(name) + value
}

// option is EFI_LOAD_OPTION with an end of paths alone.
func option(description string) string {
	const active, end = "\x01\x00\x00\x00", "\x7f\xff\x04\x00"
	return active + "\x04\x00" + text16(description+"\x00") + end + autoCreated
}

func text16(s string) string { return string(tdx.UTF16(s)) }
