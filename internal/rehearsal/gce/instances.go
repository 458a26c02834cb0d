package gce

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
)

// instance is one VM.
type instance struct {
	*computepb.Instance
	creation   *operation        // nil when an earlier process made it
	made       bool              // its disk was made with it
	machine    Machine           // nil when nothing runs
	metadata   *metadataServer   // while it runs
	serial     *os.File          // while it runs
	limit      *time.Timer       // of maxRunDuration, while it runs
	attributes map[string]string // guest attributes by namespace/key
	writes     []time.Time       // of guest attributes, in the last minute
	refused    int               // writes of guest attributes that the fault Busy refused
}

func newInstance() *instance {
	return &instance{Instance: &computepb.Instance{}, attributes: map[string]string{}}
}

func (s *Server) instanceCalls() []call {
	const instances = "/zones/{zone}/instances"
	const one = instances + "/{instance}"
	return []call{
		{"instances.get", "GET " + one, get(s, s.instance)},
		{"instances.aggregatedList", "GET /aggregated/instances", func(q request) (any, error) {
			return aggregate(q, "instanceAggregatedList", "zones/"+s.options.Zone, "instances", s.instances())
		}},
		{"instances.insert", "POST " + instances, s.insertInstance},
		{"instances.delete", "DELETE " + one, s.deleteInstance},
		{"instances.getSerialPortOutput", "GET " + one + "/serialPort", s.getSerialPort},
		{"instances.getGuestAttributes", "GET " + one + "/getGuestAttributes", s.getGuestAttributes},
	}
}

func (s *Server) instances() []*instance { return all[*instance](s, s.options.Project) }

// instance finds the one that a request names.
func (s *Server) instance(q request) (*instance, error) { return s.instanceOf(q.PathValue("instance")) }

// instanceOf finds an instance by its name or a link to it.
func (s *Server) instanceOf(link string) (*instance, error) {
	return find[*instance](s, s.zonal("instances", last(link)))
}

func (s *Server) insertInstance(q request) (any, error) {
	in := newInstance()
	if err := q.decode(in); err != nil {
		return nil, err
	}
	if err := cmp.Or(s.demandInstance(in.Instance), s.checkInstance(in.Instance)); err != nil {
		return nil, err
	}
	disk, err := s.planDisk(in.Instance)
	if err != nil {
		return nil, err
	}
	if err := cmp.Or(checkBootDisk(in.Instance, disk), checkConfidential(in.Instance, disk)); err != nil {
		return nil, err
	}
	s.describeInstance(in.Instance)
	describeAttached(in.Disks[0], disk)
	if err := s.addInstance(in, disk); err != nil {
		return nil, err
	}
	in.creation = s.begin(q, in, job{
		do:   func(ctx context.Context) error { return s.provision(ctx, in, disk) },
		undo: func() { s.unmake(in) },
	})
	return in.creation, nil
}

// planDisk is the boot disk, which exists or is to be made.
func (s *Server) planDisk(in *computepb.Instance) (*computepb.Disk, error) {
	if source := in.Disks[0].GetSource(); source != "" {
		disk, err := s.diskOf(source)
		if err != nil {
			return nil, notFound(pathOf(source))
		}
		if disk.GetStatus() != "READY" {
			return nil, notReady(pathOf(source))
		}
		return disk, s.busy(disk)
	}
	p := in.Disks[0].InitializeParams
	const field = "resource.disks[0].initializeParams.sourceImage"
	if p.GetSourceImage() == "" {
		return nil, invalid(field, "", "Boot disk must have a source specified")
	}
	disk := &computepb.Disk{Name: new(diskName(in, in.Disks[0])), SizeGb: p.DiskSizeGb, Type: p.DiskType,
		SourceImage: p.SourceImage, Labels: p.Labels}
	return disk, s.describeDisk(disk, field)
}

// diskName is what a disk that is made with an instance is called.
func diskName(in *computepb.Instance, disk *computepb.AttachedDisk) string {
	return cmp.Or(disk.GetInitializeParams().GetDiskName(), in.GetName())
}

func describeAttached(attached *computepb.AttachedDisk, disk *computepb.Disk) {
	attached.Kind, attached.Type, attached.Index = new("compute#attachedDisk"), new("PERSISTENT"), new(int32(0))
	attached.Source, attached.InitializeParams = disk.SelfLink, nil
	attached.DiskSizeGb, attached.GuestOsFeatures, attached.Licenses = disk.SizeGb, disk.GuestOsFeatures, disk.Licenses
	attached.Architecture, attached.Mode = disk.Architecture, new(cmp.Or(attached.GetMode(), "READ_WRITE"))
}

// describeInstance fills in what the service says of an instance.
func (s *Server) describeInstance(in *computepb.Instance) {
	in.Kind, in.Id, in.Status = new("compute#instance"), new(newID()), new("PROVISIONING")
	in.CreationTimestamp, in.Zone = new(s.stamp()), new(root+s.scope())
	in.SelfLink = new(root + s.zonal("instances", in.GetName()))
	in.MachineType = new(root + s.zonal("machineTypes", last(in.GetMachineType())))
	in.LabelFingerprint = fingerprint(in.Labels)
	in.Metadata.Kind, in.Metadata.Fingerprint = new("compute#metadata"), fingerprint(in.Metadata.Items)
	if series(in) == "c3" {
		in.CpuPlatform = new(cpuPlatform)
	}
	for i, nic := range in.NetworkInterfaces {
		nic.Kind, nic.Name, nic.Fingerprint = new("compute#networkInterface"), new(fmt.Sprintf("nic%d", i)), fingerprint(i)
		nic.Network, nic.NetworkIP = new(root+"projects/"+s.options.Project+"/global/networks/default"), nil
		for _, access := range nic.AccessConfigs {
			access.Kind, access.Type = new("compute#accessConfig"), new("ONE_TO_ONE_NAT")
			access.NatIP, access.NetworkTier = nil, new("PREMIUM")
		}
	}
}

// addInstance writes down what is going to be, before anything of it is made.
func (s *Server) addInstance(in *instance, disk *computepb.Disk) error {
	in.made = disk.GetStatus() == "CREATING"
	if err := s.add(in); err != nil {
		return err
	}
	disk.Users, disk.LastAttachTimestamp = []string{in.GetSelfLink()}, new(s.stamp())
	return s.add(disk)
}

// provision makes a new disk and starts the machine.
func (s *Server) provision(ctx context.Context, in *instance, disk *computepb.Disk) error {
	if in.made {
		if err := s.fill(ctx, disk); err != nil {
			return err
		}
	}
	return s.boot(ctx, in)
}

// unmake forgets an instance that could not be made, with the disk made for it.
func (s *Server) unmake(in *instance) {
	in.Disks[0].AutoDelete = &in.made
	_ = s.dropInstance(in) // the operation's own error says enough
}

func (s *Server) deleteInstance(q request) (any, error) {
	in, err := s.instance(q)
	if err != nil {
		return nil, err
	}
	if in.GetStatus() == "STOPPING" {
		return nil, notReady(pathOf(in.GetSelfLink()))
	}
	if disk := in.Disks[0]; disk.GetAutoDelete() {
		if err := s.demand(pathOf(disk.GetSource()), "compute.disks.delete"); err != nil {
			return nil, err
		}
	}
	return s.begin(q, in, s.deletion(in)), nil
}

// deletion ends an instance and forgets it, with its disk if that goes with it.
func (s *Server) deletion(in *instance) job {
	return job{do: func(ctx context.Context) error {
		if err := s.claim(ctx, in); err != nil {
			return err
		}
		s.mu.Lock()
		disk, gone := s.diskOf(in.Disks[0].GetSource())
		s.mu.Unlock()
		err := s.halt(in)
		if err == nil && gone == nil && in.Disks[0].GetAutoDelete() {
			err = s.erase(disk)
		}
		return s.locked(func() error {
			if err != nil {
				return errors.Join(err, s.terminated(in)) // so that it can be tried again
			}
			return s.dropInstance(in)
		})
	}}
}

// claim waits until the instance has been made and takes it for its end: one
// that another operation is ending already is not ready for it.
func (s *Server) claim(ctx context.Context, in *instance) error {
	if in.creation != nil {
		select {
		case <-in.creation.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.present(in); err != nil {
		return err
	}
	if in.GetStatus() == "STOPPING" {
		return s.failure("RESOURCE_NOT_READY", in.GetSelfLink())
	}
	in.Status = new("STOPPING")
	return s.save(in)
}

// dropInstance forgets an instance, and its disk unless that stays. Call it with mu held.
func (s *Server) dropInstance(in *instance) error {
	disk, err := s.diskOf(in.Disks[0].GetSource())
	switch {
	case err != nil: // it is gone
		err = nil
	case in.Disks[0].GetAutoDelete():
		err = s.dropDisk(disk)
	default:
		disk.Users, disk.LastDetachTimestamp = nil, new(s.stamp())
		err = s.save(disk)
	}
	return errors.Join(err, remove(s.file(in, ".serial")), s.drop(in))
}
