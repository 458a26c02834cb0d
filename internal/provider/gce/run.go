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

// RunSpec is one short life of a VM: it boots, reports, perhaps boots and reports
// once more, and is deleted.
type RunSpec struct {
	Purpose  string // "measure", "e2e": part of the VM's name
	Profile  release.Profile
	Image    string            // self link
	Run      string            // see RunLabel
	Metadata map[string]string // what the agent is asked
	Again    map[string]string // the same after a reboot; nil: there is none
	MaxRun   time.Duration     // after which Compute Engine deletes the VM by itself
	Wait     time.Duration     // for each report, once the VM runs
}

// RunResult is what came of a run.
type RunResult struct {
	Instance *Instance // as it was after its boot; it is gone
	Report   []byte
	Again    []byte // the report after the reboot
}

// waits is how long reports are waited for at most.
func (s RunSpec) waits() time.Duration {
	if s.Again != nil {
		return 2 * s.Wait
	}
	return s.Wait
}

// Run boots a VM, waits for its reports and deletes the VM, also after an error,
// a panic and a cancellation. Only a process that is killed leaves one behind:
// SweepRun finds it, and Compute Engine deletes it after MaxRun.
func (c *Client) Run(ctx context.Context, spec RunSpec) (out *RunResult, err error) {
	if spec.Wait <= 0 || spec.waits() >= spec.MaxRun {
		return nil, &fault.Error{Code: fault.Usage, Message: "gce: a VM must live longer than its reports are waited for",
			Expected: "more than " + spec.waits().String(), Got: spec.MaxRun.String()}
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
	if spec.Again == nil {
		return out, nil
	}
	vm.Metadata = spec.Again
	if err := c.reboot(ctx, &vm); err != nil {
		return nil, err
	}
	out.Again, err = c.NextReport(ctx, vm.Name, spec.Wait, report)
	if err != nil {
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
