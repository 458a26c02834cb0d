package chroot

import (
	"os"

	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot/bootchain"
)

// Measure says what the boot chain measures of a disk, before anything of it runs.
func Measure(disk string) (events bootchain.Events, err error) {
	err = inDisk(disk, func(root *os.Root) error {
		loader, err := loader(root)
		if err != nil {
			return err
		}
		kernel, err := kernel(root)
		if err != nil {
			return err
		}
		initrd, err := initrd(root)
		if err != nil {
			return err
		}
		line, err := commandLine(root)
		if err != nil {
			return err
		}
		events = bootchain.Events{
			bootchain.Shape(),
			{RTMR: 1, Text: "rehearsal shim and loader: " + loader},
			{RTMR: 2, Text: "kernel: " + kernel},
			{RTMR: 2, Text: "initrd: " + initrd},
			{RTMR: 2, Text: "kernel_cmdline: " + line},
		}
		return nil
	})
	return events, err
}
