// Package vm boots released node images as confidential VMs on Compute
// Engine and hands over what their agents report.
//
// Its promise: no VM outlives the call that booted it, and before the first one
// boots, what an earlier, interrupted run left under the same label is deleted.
package vm

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/provider/gce"
	"github.com/calimero-network/mero-tee/internal/release"
)

const (
	// patience bounds the wait for a report: a TDX VM takes one to three minutes
	// to boot, and the agent's own deadline is ten.
	patience = 15 * time.Minute
	// lifetime is after how long Compute Engine deletes a VM by itself that boots once.
	lifetime = 30 * time.Minute
)

// VMs boots nodes in one project, for one run.
type VMs struct {
	Project string // where the images are
	Run     string // names the run, the same whenever it is begun again; see gce.RunLabel
	Purpose string // part of the VMs' names
	Client  func(context.Context) (*gce.Client, error)

	once   sync.Once
	client *gce.Client
	err    error
}

var _ agent.Machines = (*VMs)(nil)

// Boot boots the image that is named in published and returns its agent's report.
func (v *VMs) Boot(ctx context.Context, published *measurement.Published, profile release.Profile,
	m agent.Mission) (*agent.Report, error) {
	visited, err := v.run(ctx, published, profile, gce.RunSpec{MaxRun: lifetime}, m)
	if visited == nil {
		return nil, err
	}
	report, bad := agent.DecodeReport(visited.Report)
	return report, errors.Join(bad, err)
}

// Reboot boots the image, resets the machine when its agent has reported, and returns both reports.
func (v *VMs) Reboot(ctx context.Context, published *measurement.Published, profile release.Profile,
	first, again agent.Mission) (out [2]*agent.Report, err error) {
	attributes, err := again.Attributes()
	if err != nil {
		return out, err
	}
	visited, err := v.run(ctx, published, profile, gce.RunSpec{MaxRun: lifetime + patience, Again: attributes}, first)
	if visited == nil {
		return out, err
	}
	for i, data := range [][]byte{visited.Report, visited.Again} {
		var bad error
		out[i], bad = agent.DecodeReport(data)
		err = errors.Join(bad, err)
	}
	return out, err
}

// run completes the life of a VM and goes through it. What reported, and could
// not be deleted, comes with an error that is agent.ErrLeft.
func (v *VMs) run(ctx context.Context, published *measurement.Published, profile release.Profile, spec gce.RunSpec,
	m agent.Mission) (*gce.RunResult, error) {
	if err := v.opened(ctx); err != nil {
		return nil, err
	}
	var err error
	if spec.Metadata, err = m.Attributes(); err != nil {
		return nil, err
	}
	image, err := v.client.Image(ctx, v.Project, published.Profiles[profile].Image.Name)
	if err != nil {
		return nil, err
	}
	spec.Purpose, spec.Profile, spec.Image, spec.Run, spec.Wait = v.Purpose, profile, image.SelfLink, v.Run, patience
	visited, err := v.client.Run(ctx, spec)
	if visited != nil && err != nil {
		err = fmt.Errorf("%w: %w", agent.ErrLeft, err)
	}
	return visited, err
}

// Left lists the VMs and disks that carry the run's label.
func (v *VMs) Left(ctx context.Context) ([]string, error) {
	if err := v.opened(ctx); err != nil {
		return nil, err
	}
	resources, err := v.client.OfRun(ctx, v.Run)
	var out []string
	for _, r := range resources {
		out = append(out, string(r.Kind)+" "+r.Name)
	}
	return out, err
}

func (v *VMs) opened(ctx context.Context) error {
	v.once.Do(func() { v.err = v.open(ctx) })
	return v.err
}

// open connects, and sweeps what an earlier run left.
func (v *VMs) open(ctx context.Context) (err error) {
	if v.client, err = v.Client(ctx); err != nil {
		return err
	}
	_, err = v.client.SweepRun(ctx, v.Run)
	return err
}
