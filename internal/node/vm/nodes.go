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
	// lifetime is after how long Compute Engine deletes a VM by itself.
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

var _ agent.Nodes = (*VMs)(nil)

// Boot boots the image that is named in published and returns its agent's report.
func (v *VMs) Boot(ctx context.Context, published *measurement.Published, profile release.Profile,
	m agent.Mission) (*agent.Report, error) {
	if err := v.opened(ctx); err != nil {
		return nil, err
	}
	attributes, err := m.Attributes()
	if err != nil {
		return nil, err
	}
	image, err := v.client.Image(ctx, v.Project, published.Profiles[profile].Image.Name)
	if err != nil {
		return nil, err
	}
	visited, err := v.client.Run(ctx, gce.RunSpec{Purpose: v.Purpose, Profile: profile, Image: image.SelfLink, Run: v.Run,
		Metadata: attributes, MaxRun: lifetime, Wait: patience})
	if visited == nil {
		return nil, err
	}
	report, bad := agent.DecodeReport(visited.Report)
	if err != nil { // it reported, and could not be deleted
		err = fmt.Errorf("%w: %w", agent.ErrLeft, err)
	}
	return report, errors.Join(bad, err)
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
