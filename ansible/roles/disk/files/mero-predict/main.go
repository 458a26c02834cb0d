// Command mero-predict says, in the VM that builds a node image, what the disk
// that was written will measure when it boots: one line of JSON, which the
// image's record keeps.
//
// Its promise: the line comes from the disk's own bytes, and only after every
// block of the root and of its tree was read and found to be that of the root
// hash on the command line. A disk that is not wholly understood has no line.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "[ERROR] %v\n", err)
	}
	os.Exit(int(fault.CodeOf(err)))
}

// run returns an error with one of the codes of package fault: Usage for the
// command's words, Verification for what the disk holds, else General.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	if len(args) != 1 {
		return &fault.Error{Code: fault.Usage, Message: "usage: mero-predict DEVICE",
			Expected: "one block device, or disk file", Got: fmt.Sprintf("%d words", len(args))}
	}
	boot, err := predict(ctx, args[0])
	if err != nil {
		return err
	}
	out := json.NewEncoder(stdout)
	out.SetEscapeHTML(false) // the record's JSON has none either
	return out.Encode(boot)
}

func predict(ctx context.Context, path string) (*measuredboot.Boot, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	disk, err := measuredboot.OpenFile(f)
	if err != nil {
		return nil, err
	}
	if err := disk.VerifyRoot(ctx); err != nil {
		return nil, err
	}
	return disk.Boot(), nil
}
