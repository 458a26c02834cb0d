package measuredboot

import (
	"strings"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/digest"
)

// Boot is what a disk boots, and every event that this extends into RTMR1 and
// RTMR2, in order. It is part of an image's record.
type Boot struct {
	UKI         digest.Digest `json:"uki"`          // of EFI/BOOT/BOOTX64.EFI
	Kernel      digest.Digest `json:"kernel"`       // of its section .linux
	Initrd      digest.Digest `json:"initrd"`       // of its section .initrd
	CommandLine string        `json:"command_line"` // its section .cmdline
	OSRelease   string        `json:"os_release"`   // its section .osrel, the system's os-release(5)
	RootHash    digest.Digest `json:"root_hash"`    // of the dm-verity tree, from the command line
	GPT         []byte        `json:"gpt"`          // the partition table as firmware measures it: UEFI_GPT_DATA
	RTMR1       []Event       `json:"rtmr1"`
	RTMR2       []Event       `json:"rtmr2"`
	// KernelEvents are what the kernel's own EFI stub measures: into PCR 9 where
	// firmware shows it a TPM, as Compute Engine does, and only else into RTMR2.
	KernelEvents []Event `json:"kernel_events"`
}

// Event is one measurement that is known before it is seen.
type Event struct {
	Type   string       `json:"type"`  // by TCG's name, EV_SEPARATOR
	Words  string       `json:"words"` // for people: "UKI, Authenticode"
	Digest tdx.Register `json:"digest"`
}

// Word is the value of a command line's parameter, empty where there is none or
// it has none. None is there twice: see Check.
func (b *Boot) Word(key string) string {
	for word := range strings.FieldsSeq(b.CommandLine) {
		if value, ok := strings.CutPrefix(word, key+"="); ok {
			return value
		}
	}
	return ""
}

// Registers are RTMR1 and RTMR2 of a TD that booted this.
func (b *Boot) Registers() (rtmr1, rtmr2 tdx.Register) {
	return extend(b.RTMR1), extend(b.RTMR2)
}

func extend(events []Event) tdx.Register {
	var r tdx.Register
	for _, e := range events {
		r = r.Extend(e.Digest)
	}
	return r
}
