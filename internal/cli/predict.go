package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// Predict writes what booting a raw disk extends into RTMR1 and RTMR2, once the
// disk's root is known to be that of its hash tree. With an event log, of a TD
// (CCEL) or of a TPM, it then compares the two event by event; with the disk of
// another build of the same state, the two byte by byte.
func Predict(ctx context.Context, w io.Writer, name, eventLog, same string) error {
	boot, err := predict(ctx, name, same)
	if err != nil {
		return err
	}
	if err := writeBoot(w, boot); err != nil {
		return &fault.Error{Code: fault.General, Message: "cannot write", Err: err}
	}
	if same != "" {
		if _, err := fmt.Fprintln(w, "the other disk has the same bytes"); err != nil {
			return err
		}
	}
	if eventLog == "" {
		return nil
	}
	raw, err := readEvidence(eventLog)
	if err != nil {
		return err
	}
	if err := judgeLog(boot, raw); err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, "the log's events are exactly these")
	return err
}

func predict(ctx context.Context, name, same string) (*measuredboot.Boot, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, &fault.Error{Code: fault.Usage, Message: "cannot read the disk", Err: err}
	}
	defer f.Close()
	disk, err := measuredboot.OpenFile(f)
	if err != nil {
		return nil, err
	}
	if err := disk.VerifyRoot(ctx); err != nil || same == "" {
		return disk.Boot(), err
	}
	other, err := os.Open(same)
	if err != nil {
		return nil, &fault.Error{Code: fault.Usage, Message: "cannot read the other disk", Err: err}
	}
	defer other.Close()
	return disk.Boot(), disk.SameAs(ctx, f, other)
}

// judgeLog reads a log of either kind: only a TPM's has digests of several banks.
func judgeLog(boot *measuredboot.Boot, raw []byte) error {
	events, err := tdx.ParseCCEL(raw)
	if err == nil {
		return boot.Judge(events)
	}
	events, errTPM := measuredboot.ParseTPM(raw)
	if errTPM != nil {
		return &fault.Error{Code: fault.Verification, Message: "the event log is neither a TD's nor a TPM's", Err: err}
	}
	return boot.JudgeTPM(events)
}

func writeBoot(w io.Writer, b *measuredboot.Boot) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "UKI\t%s\nkernel\t%s\ninitrd\t%s\nroot hash\t%s\ncommand line\t%s\n",
		b.UKI, b.Kernel, b.Initrd, b.RootHash, b.CommandLine)
	rtmr1, rtmr2 := b.Registers()
	fmt.Fprintf(out, "RTMR1\t%s\nRTMR2\t%s\n", rtmr1, rtmr2)
	if err := out.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out, "\nregister\ttype\tevent\tdigest")
	for _, part := range []struct {
		register string
		events   []measuredboot.Event
	}{{"RTMR1", b.RTMR1}, {"RTMR2", b.RTMR2}, {"PCR 9", b.KernelEvents}} {
		for _, e := range part.events {
			fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", part.register, e.Type, e.Words, e.Digest)
		}
	}
	return out.Flush()
}
