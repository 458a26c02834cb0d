// Package chroot runs the instances of the rehearsal's Compute Engine on one
// Linux machine: each is a root file system in a chroot, in mount, process,
// UTS and IPC namespaces of its own.
//
// Its promise: a build VM is reached by SSH as Google's guest agent would have
// set it up; a confidential VM measures what its raw disk boots into a simulated
// TD before it runs anything, boots only when every block of its root verifies,
// writes to no disk, and then runs the image's own units; no process and no
// mount outlives Stop or this program, and none is ever seen outside.
//
// It is no security boundary: an instance shares the network, and whoever is
// root in it can find a way out of a chroot. It runs what this repository builds.
package chroot

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"

	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
	"github.com/calimero-network/mero-tee/internal/rehearsal/process"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

// Options say where machines run and what is around them.
type Options struct {
	Dir    string           // of the run folders, one for each process
	TDX    *tdxsim.Platform // that confidential VMs run on
	Proxy  network.Proxy    // a confidential VM's way out
	Faults Faults
}

// Faults are what can be wrong with every machine that is booted.
type Faults struct {
	TD       []tdxsim.TDOption // for example tdxsim.Debug
	Drift    bool              // each boot also measures its own number: no two agree
	Unlogged bool              // RTMR2 is extended by what the event log does not tell
}

// Host is this machine, with the VMs on it.
type Host struct {
	options Options
	runner  *runner
	dir     string // of this process
	roots   *roots
	bases   *bases

	mu       sync.Mutex
	boots    int
	machines map[*Machine]bool
}

// Open refuses, before anything starts, on a machine that cannot run VMs. It
// removes the run folders of processes that are gone.
func Open(ctx context.Context, o Options) (*Host, error) {
	r, err := newRunner(ctx, program{"tar", "tar"}, program{"hostname", "hostname"},
		program{"unsquashfs", "squashfs-tools"})
	if err != nil {
		return nil, err
	}
	o.Dir, err = filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	dir, err := process.Folder(o.Dir, func(old string) error { return r.remove(ctx, old) })
	if err != nil {
		return nil, err
	}
	h := &Host{options: o, runner: r, dir: dir, machines: map[*Machine]bool{}}
	h.roots = &roots{folders{runner: r, dir: filepath.Join(dir, "roots")}}
	h.bases = newBases(context.WithoutCancel(ctx), r, filepath.Join(dir, "bases"))
	return h, nil
}

// Close stops every machine and removes the run folder.
func (h *Host) Close() error {
	h.mu.Lock()
	var running []*Machine
	for m := range h.machines {
		running = append(running, m)
	}
	h.mu.Unlock()
	var errs []error
	for _, m := range running {
		errs = append(errs, m.Stop())
	}
	return errors.Join(append(errs, h.Remove(context.Background(), h.dir))...)
}

// Remove deletes a disk folder, whoever its files belong to. Without root only
// the user namespace in which they were made may.
func (h *Host) Remove(ctx context.Context, dir string) error { return h.runner.remove(ctx, dir) }

func (r *runner) remove(ctx context.Context, dir string) error {
	if _, err := os.Lstat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return r.run(ctx, "rm", "-rf", "--one-file-system", "--", dir)
}
