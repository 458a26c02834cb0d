package machine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
)

// Variable is one that whoever holds the machine puts into the firmware's store.
type Variable struct {
	Name  string
	GUID  [16]byte // as EFI writes it
	Value []byte
}

// SystemdOptions is the variable that systemd reads like a kernel command line.
func SystemdOptions(line string) Variable {
	// 8cf2644b-4b0b-428f-9387-6d876050dc67
	guid := [16]byte{0x4b, 0x64, 0xf2, 0x8c, 0x0b, 0x4b, 0x8f, 0x42, 0x93, 0x87, 0x6d, 0x87, 0x60, 0x50, 0xdc, 0x67}
	return Variable{"SystemdOptions", guid, utf16z(line)}
}

// utf16z is text as EFI keeps it, with its NUL.
func utf16z(text string) []byte { return tdx.UTF16(text + "\x00") }

// What a store of variables with times of authentication looks like (edk2,
// MdeModulePkg/Include/Guid/VariableFormat.h and MdePkg's PiFirmwareVolume.h).
const (
	volumeSignature = "_FVH"
	storeHead       = 28
	variableHead    = 60
	variableStart   = 0x55aa
	variableAdded   = 0x3f
	variableAligned = 4
	// non-volatile, at boot and at run time
	variableAttributes = 7
)

// authenticatedStore is gEfiAuthenticatedVariableGuid.
func authenticatedStore() []byte {
	return []byte{0x78, 0x2c, 0xf3, 0xaa, 0x7b, 0x94, 0x9a, 0x43, 0xa1, 0x80, 0x2e, 0x14, 0x4e, 0xc3, 0x77, 0x92}
}

// AddVariables writes variables behind those that a store of OVMF's has.
func AddVariables(store []byte, variables ...Variable) ([]byte, error) {
	out := bytes.Clone(store)
	for _, v := range variables {
		at, end, err := freeSpace(out)
		if err != nil {
			return nil, err
		}
		b := v.encode()
		if at+len(b) > end {
			return nil, fmt.Errorf("the variable %s of %d bytes does not fit", v.Name, len(b))
		}
		copy(out[at:], b)
	}
	return out, nil
}

// Has says whether a store has the name of a variable.
func Has(store []byte, name string) bool { return bytes.Contains(store, utf16z(name)) }

func (v Variable) encode() []byte {
	name := utf16z(v.Name)
	b := binary.LittleEndian.AppendUint16(nil, variableStart)
	b = append(b, variableAdded, 0)
	b = binary.LittleEndian.AppendUint32(b, variableAttributes)
	b = append(b, make([]byte, 8+16+4)...)                        // monotonic count, time, key
	b = binary.LittleEndian.AppendUint32(b, uint32(len(name)))    //nolint:gosec // a name of ours
	b = binary.LittleEndian.AppendUint32(b, uint32(len(v.Value))) //nolint:gosec // a value of ours
	return append(append(append(b, v.GUID[:]...), name...), v.Value...)
}

// freeSpace finds where the next variable goes, and where the store ends.
func freeSpace(store []byte) (at, end int, err error) {
	notStore := errors.New("not a variable store of OVMF's")
	if len(store) < 64 || string(store[40:44]) != volumeSignature {
		return 0, 0, notStore
	}
	begin := int(binary.LittleEndian.Uint16(store[48:]))
	if begin < 56 || begin+storeHead > len(store) || !bytes.Equal(store[begin:begin+16], authenticatedStore()) {
		return 0, 0, notStore
	}
	size := int64(binary.LittleEndian.Uint32(store[begin+16:]))
	if size < storeHead || int64(begin)+size > int64(len(store)) {
		return 0, 0, notStore
	}
	end = begin + int(size)
	at = begin + storeHead
	for at+variableHead <= end && binary.LittleEndian.Uint16(store[at:]) == variableStart {
		name, value := binary.LittleEndian.Uint32(store[at+36:]), binary.LittleEndian.Uint32(store[at+40:])
		next := int64(at) + variableHead + int64(name) + int64(value)
		next = (next + variableAligned - 1) / variableAligned * variableAligned
		if next > int64(end) {
			return 0, 0, errors.New("a variable of the store does not end in it")
		}
		at = int(next)
	}
	for _, b := range store[at:min(at+variableHead, end)] {
		if b != 0xff {
			return 0, 0, errors.New("what is behind the store's last variable is not blank")
		}
	}
	return at, end, nil
}
