package gce

import (
	"context"
	"errors"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/release"
)

// maxCleanup bounds the deletion of a VM after a run. A VM that is being
// created can only be deleted when that has ended.
const maxCleanup = 10 * time.Minute

// RunSpec is one short life of a VM: it boots, reports and is deleted.
type RunSpec struct {
	Purpose  string // "measure", "e2e": part of the VM's name
	Profile  release.Profile
	Image    string            // self link
	Run      string            // see RunLabel
	Metadata map[string]string // what the agent is asked
	MaxRun   time.Duration     // after which Compute Engine deletes the VM by itself
	Wait     time.Duration     // for the report, once the VM runs
	Reboot   bool              // the VM is reset when it has reported, and reports again
}

// RunResult is what came of a run.
type RunResult struct {
	Instance *Instance // as it was after its boot; it is gone
	Report   []byte
	Rebooted []byte // the report after the reset
}

// Run boots a VM, waits for its report and deletes the VM, also after an error,
// a panic and a cancellation. Only a process that is killed leaves one behind:
// SweepRun finds it, and Compute Engine deletes it after MaxRun.
func (c *Client) Run(ctx context.Context, spec RunSpec) (out *RunResult, err error) {
	wait := spec.Wait
	if spec.Reboot {
		wait *= 2
	}
	if wait <= 0 || wait >= spec.MaxRun {
		return nil, &fault.Error{Code: fault.Usage, Message: "gce: a VM must live longer than its reports are waited for",
			Expected: "more than " + wait.String(), Got: spec.MaxRun.String()}
	}
	vm := VM{Name: Name(spec.Purpose, spec.Profile), Image: spec.Image, Metadata: spec.Metadata, MaxRun: spec.MaxRun,
		Labels: map[string]string{LabelRun: spec.Run}}
	if err := vm.check(); err != nil {
		return nil, err
	}
	left := doubtful // until boot says otherwise
	defer func() { err = errors.Join(err, c.clean(ctx, vm.Name, left)) }()
	i, left, err := c.boot(ctx, &vm)
	if err != nil {
		return nil, err
	}
	report, err := c.Report(ctx, vm.Name, spec.Wait)
	if err != nil {
		return nil, err
	}
	out = &RunResult{Instance: i, Report: report}
	if !spec.Reboot {
		return out, nil
	}
	if err := c.Reset(ctx, vm.Name); err != nil {
		return nil, err
	}
	if out.Rebooted, err = c.NextReport(ctx, vm.Name, report, spec.Wait); err != nil {
		return nil, err
	}
	return out, nil
}

// clean deletes a VM whatever became of ctx. One whose insertion is in doubt
// may become visible only after it was asked to be deleted.
func (c *Client) clean(ctx context.Context, name string, left vmState) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), maxCleanup)
	defer cancel()
	var patience []tolerance
	switch left {
	case nothing:
		return c.journal.End(journal.VM, name, nil) // there never was one
	case doubtful:
		patience = append(patience, fresh)
	}
	err := c.deleteVM(ctx, c.zone, name, patience...)
	if err == nil {
		return nil
	}
	return &fault.Error{Code: fault.General, Message: name + " may be left behind", Err: err,
		Hint: "`mage sweep` finds it by its labels; Compute Engine deletes it by itself when its time is up"}
}
