package tdx

import (
	"encoding/binary"
	"fmt"
	"slices"
	"unicode/utf16"
)

// Vendors of UEFI variables, as they are written. Source: UEFI specification
// 2.10, sections 3.3 and 32.4; systemd's BOOT_LOADER_INTERFACE.
const (
	globalVendor   = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
	securityVendor = "d719b2cb-3d3a-4596-a3bc-dad00e67656f"
	shimVendor     = "605dab50-e046-4300-abb6-3dd810dd8b23"
	loaderVendor   = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f" // read by systemd's boot stub and by its boot loader
	systemdVendor  = "8cf2644b-4b0b-428f-9387-6d876050dc67" // SystemdOptions: read as if it were a kernel command line
)

// knownVendors are those of which the name says enough.
func knownVendors() []string { return []string{globalVendor, securityVendor, shimVendor} }

// variable is UEFI_VARIABLE_DATA, with which firmware logs a variable.
type variable struct {
	vendor string
	name   string
	value  []byte
}

// label names a variable, with its vendor where that is not a usual one.
func (v variable) label() string {
	name := plain([]byte(v.name))
	if slices.Contains(knownVendors(), v.vendor) {
		return name
	}
	return name + " of vendor " + v.vendor
}

// parseVariable reads GUID, number of characters, size of the value, name
// (UTF-16), value. Nothing may be left.
func parseVariable(payload []byte) (variable, bool) {
	r := &logReader{rest: payload}
	v := variable{vendor: r.guid()}
	characters, size := r.u64(), r.u64()
	rest := uint64(len(r.rest))
	if r.err != nil || characters > rest/2 || size != rest-2*characters {
		return variable{}, false
	}
	var ok bool
	v.name, ok = fromUTF16(r.rest[:2*characters])
	v.value = r.rest[2*characters:]
	return v, ok
}

// guid is written as the UEFI specification does: three little-endian numbers, then bytes.
func (r *logReader) guid() string {
	b := r.take(16)
	if b == nil {
		return ""
	}
	return fmt.Sprintf("%08x-%04x-%04x-%x-%x", binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint16(b[4:]),
		binary.LittleEndian.Uint16(b[6:]), b[8:10], b[10:])
}

func (r *logReader) u64() uint64 {
	if b := r.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// UTF16 is text as firmware writes it, without a NUL behind it.
func UTF16(text string) (out []byte) {
	for _, u := range utf16.Encode([]rune(text)) {
		out = binary.LittleEndian.AppendUint16(out, u)
	}
	return out
}

func fromUTF16(b []byte) (string, bool) {
	if len(b)%2 != 0 {
		return "", false
	}
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units)), true
}

// loadOption is EFI_LOAD_OPTION, the value of a Boot#### variable.
type loadOption struct {
	description string
	optional    []byte // handed to what is booted: to a boot stub, another kernel command line
}

// parseLoadOption reads attributes, size of the paths, description (UTF-16, NUL), paths, optional data.
func parseLoadOption(value []byte) (loadOption, bool) {
	r := &logReader{rest: value}
	r.u32()
	paths := r.u16()
	var units []byte
	for {
		unit := r.take(2)
		if r.err != nil {
			return loadOption{}, false
		}
		if unit[0] == 0 && unit[1] == 0 {
			break
		}
		units = append(units, unit...)
	}
	description, ok := fromUTF16(units)
	r.take(uint32(paths))
	return loadOption{description, r.rest}, ok && r.err == nil
}
