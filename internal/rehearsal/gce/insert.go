package gce

import (
	"context"
	"fmt"
	"slices"

	compute "google.golang.org/api/compute/v1"
)

func (s *Server) insertInstance(q request) (any, error) {
	resource := &compute.Instance{}
	if err := q.decode(resource); err != nil {
		return nil, err
	}
	if err := s.checkInstance(resource); err != nil {
		return nil, err
	}
	disks, err := s.planDisks(resource)
	if err != nil {
		return nil, err
	}
	if err := checkConfidential(resource, disks[0]); err != nil {
		return nil, err
	}
	s.describeInstance(resource)
	in := &instance{resource: resource, attributes: map[string]string{}}
	if err := s.addInstance(in, disks); err != nil {
		return nil, err
	}
	j := job{do: func(ctx context.Context) error { return s.provision(ctx, in, disks) }, undo: func() { s.unmake(in) }}
	in.creation = s.begin(q, pathOf(resource.SelfLink), resource.Id, j)
	return in.creation.resource, nil
}

func (s *Server) describeInstance(resource *compute.Instance) {
	resource.Kind, resource.Id, resource.Status = "compute#instance", newID(), "PROVISIONING"
	resource.CreationTimestamp, resource.Zone = s.stamp(), root+s.scope()
	resource.SelfLink = root + s.zonal("instances", resource.Name)
	resource.MachineType = root + s.zonal("machineTypes", last(resource.MachineType))
	resource.LabelFingerprint = fingerprint(resource.Labels)
	resource.Metadata.Kind, resource.Metadata.Fingerprint = "compute#metadata", fingerprint(resource.Metadata.Items)
	if series(resource) == "c3" {
		resource.CpuPlatform = "Intel Sapphire Rapids"
	}
	for i, nic := range resource.NetworkInterfaces {
		nic.Kind, nic.Name, nic.Fingerprint = "compute#networkInterface", fmt.Sprintf("nic%d", i), fingerprint(i)
		nic.Network, nic.NetworkIP = root+s.network(), ""
		for _, access := range nic.AccessConfigs {
			access.Kind, access.Type, access.NatIP, access.NetworkTier = "compute#accessConfig", "ONE_TO_ONE_NAT", "", "PREMIUM"
		}
	}
}

// addInstance writes down what is going to be, before anything of it is made.
func (s *Server) addInstance(in *instance, disks []*compute.Disk) error {
	if err := s.saveInstance(in); err != nil {
		return err
	}
	s.instances[in.resource.Name] = in
	for _, disk := range disks {
		if disk.Status == "CREATING" {
			in.made = append(in.made, disk.Name)
		}
		disk.Users, disk.LastAttachTimestamp = []string{in.resource.SelfLink}, s.stamp()
		if err := s.addDisk(disk); err != nil {
			return err
		}
	}
	return nil
}

// provision makes the new disks and starts the machine.
func (s *Server) provision(ctx context.Context, in *instance, disks []*compute.Disk) error {
	for _, disk := range disks {
		if disk.Status != "CREATING" {
			continue
		}
		if err := s.fill(ctx, disk); err != nil {
			return err
		}
	}
	return s.boot(ctx, in)
}

// unmake forgets an instance that could not be made, with the disks made for it.
func (s *Server) unmake(in *instance) {
	for _, attached := range in.resource.Disks {
		attached.AutoDelete = slices.Contains(in.made, last(attached.Source))
	}
	_ = s.dropInstance(in) // the operation's own error says enough
}
