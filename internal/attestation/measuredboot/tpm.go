package measuredboot

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// What bounds a TPM's log from outside.
const (
	maxLog    = 1 << 20
	maxEvents = 4096
	maxBanks  = 8
	sha384    = 0x000c // TPM_ALG_SHA384
)

// ParseTPM reads the log of a TPM with a SHA-384 bank (the kernel's
// binary_bios_measurements) as if its PCRs were the registers of a TD: PCR 0 is
// MRTD, 1 and 7 are RTMR0, 2 to 6 are RTMR1, 8 to 15 are RTMR2. Firmware
// separates each PCR and a TD's only each register, so that of a run of
// separators in different PCRs of one register the first counts.
func ParseTPM(raw []byte) ([]tdx.Event, error) {
	if len(raw) > maxLog {
		return nil, fault.Mismatch("the TPM's log is large", fmt.Sprintf("up to %d bytes", maxLog), fmt.Sprint(len(raw)))
	}
	r := &tpmReader{rest: raw}
	sizes := r.header()
	if r.bad {
		return nil, refusal("the TPM's log does not open with a Spec ID event")
	}
	var out []tdx.Event
	separated := map[uint32]bool{}
	registers := map[int]bool{}
	for n := 0; len(r.rest) > 0; n++ {
		pcr, e, found := r.event(sizes)
		if r.bad || n == maxEvents {
			return nil, refusal("the TPM's log cannot be read: event %d", n+1)
		}
		if !found {
			return nil, refusal("the TPM's log has no SHA-384 digest of event %d: the bank is off", n+1)
		}
		if e.RTMR = registerOf(pcr); e.RTMR < -1 {
			return nil, refusal("the TPM's log has an event of PCR %d", pcr)
		}
		if types()[e.Type] == separatorType && !separated[pcr] {
			separated[pcr] = true
			if first := !registers[e.RTMR]; !first {
				continue
			}
			registers[e.RTMR] = true
		}
		out = append(out, e)
	}
	return out, nil
}

// registerOf is a PCR's register, -1 for MRTD. Source: UEFI 2.10, 38.4.1.
func registerOf(pcr uint32) int {
	switch {
	case pcr == 0:
		return -1
	case pcr == 1 || pcr == 7:
		return 0
	case pcr <= 6:
		return 1
	case pcr <= 15:
		return 2
	}
	return -2
}

// tpmReader reads little-endian fields, and remembers that one was not there.
type tpmReader struct {
	rest []byte
	bad  bool
}

func (r *tpmReader) take(n uint32) []byte {
	if uint64(n) > uint64(len(r.rest)) {
		r.bad, r.rest = true, nil
	}
	if r.bad {
		return make([]byte, min(n, 8))
	}
	taken := r.rest[:n:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *tpmReader) u32() uint32 { return binary.LittleEndian.Uint32(r.take(4)) }
func (r *tpmReader) u16() uint16 { return binary.LittleEndian.Uint16(r.take(2)) }

// header reads the first event, which says which banks there are.
func (r *tpmReader) header() map[uint16]uint32 {
	r.u32()
	kind := r.u32()
	r.take(20)
	inner := &tpmReader{rest: r.take(r.u32())}
	magic := inner.take(16)
	inner.take(8) // platform class, version, errata, width of a native number
	count := inner.u32()
	if r.bad || kind != tdx.NoActionEvent || !bytes.Equal(magic, []byte("Spec ID Event03\x00")) || count > maxBanks {
		r.bad = true
		return nil
	}
	sizes := map[uint16]uint32{}
	for range count {
		alg := inner.u16()
		sizes[alg] = uint32(inner.u16())
	}
	r.bad = r.bad || inner.bad
	return sizes
}

// event reads TCG_PCR_EVENT2: index, type, a digest of each bank, size, data.
func (r *tpmReader) event(sizes map[uint16]uint32) (pcr uint32, e tdx.Event, found bool) {
	pcr = r.u32()
	e.Type = r.u32()
	count := r.u32()
	for i := uint32(0); i < count && !r.bad; i++ {
		alg := r.u16()
		size, ok := sizes[alg]
		if !ok || i == maxBanks {
			r.bad = true
		}
		b := r.take(size)
		if alg == sha384 && len(b) == tdx.RegisterSize {
			copy(e.Digest[:], b)
			found = true
		}
	}
	e.Payload = bytes.Clone(r.take(r.u32()))
	return pcr, e, found
}
