package gce

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
)

// instance is one VM.
type instance struct {
	*computepb.Instance
	work       *operation        // that makes it, or starts or stops it; nil when an earlier process did
	made       []*computepb.Disk // with it
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
		{"instances.setMetadata", "POST " + one + "/setMetadata", s.setMetadata},
		{"instances.reset", "POST " + one + "/reset", s.resetInstance},
		{"instances.stop", "POST " + one + "/stop", s.stopInstance},
		{"instances.start", "POST " + one + "/start", s.startInstance},
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
	disks, err := s.planDisks(in.Instance)
	if err != nil {
		return nil, err
	}
	if err := cmp.Or(checkBoots(disks[0]), checkConfidential(in.Instance, disks[0])); err != nil {
		return nil, err
	}
	s.describeInstance(in.Instance)
	for i, disk := range disks {
		describeAttached(in.Disks[i], i, disk)
	}
	if err := s.addInstance(in, disks); err != nil {
		return nil, err
	}
	in.work = s.begin(q, in, job{
		do:   func(ctx context.Context) error { return s.provision(ctx, in) },
		undo: func() { s.unmake(in) },
	})
	return in.work, nil
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
func (s *Server) addInstance(in *instance, disks []*computepb.Disk) error {
	if err := s.add(in); err != nil {
		return err
	}
	for _, disk := range disks {
		if disk.GetStatus() == "CREATING" {
			in.made = append(in.made, disk)
		}
		disk.Users, disk.LastAttachTimestamp = []string{in.GetSelfLink()}, new(s.stamp())
		if err := s.add(disk); err != nil {
			return err
		}
	}
	return nil
}

// provision makes the new disks and starts the machine.
func (s *Server) provision(ctx context.Context, in *instance) error {
	for _, disk := range in.made {
		if err := s.fill(ctx, disk); err != nil {
			return err
		}
	}
	return s.boot(ctx, in)
}

// unmake forgets an instance that could not be made, with the disks made for it.
func (s *Server) unmake(in *instance) {
	for _, attached := range in.Disks {
		attached.AutoDelete = new(slices.ContainsFunc(in.made, func(disk *computepb.Disk) bool {
			return disk.GetSelfLink() == attached.GetSource()
		}))
	}
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
	for _, disk := range in.Disks {
		if !disk.GetAutoDelete() {
			continue
		}
		if err := s.demand(pathOf(disk.GetSource()), "compute.disks.delete"); err != nil {
			return nil, err
		}
	}
	return s.begin(q, in, s.deletion(in)), nil
}

// deletion ends an instance and forgets it, with the disks that go with it.
func (s *Server) deletion(in *instance) job {
	return job{do: func(ctx context.Context) error {
		if err := s.claim(ctx, in); err != nil {
			return err
		}
		err := s.halt(in)
		for _, attached := range in.Disks {
			s.mu.Lock()
			disk, gone := s.diskOf(attached.GetSource())
			s.mu.Unlock()
			if err == nil && gone == nil && attached.GetAutoDelete() {
				err = s.erase(disk)
			}
		}
		return s.locked(func() error {
			if err != nil {
				return errors.Join(err, s.terminated(in)) // so that it can be tried again
			}
			return s.dropInstance(in)
		})
	}}
}

// claim waits until nobody makes or restarts the instance and takes it for its
// end: one that another operation is ending already is not ready for it.
func (s *Server) claim(ctx context.Context, in *instance) error {
	for {
		s.mu.Lock()
		work := in.work
		if work.ended() {
			defer s.mu.Unlock()
			break
		}
		s.mu.Unlock()
		select {
		case <-work.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := s.present(in); err != nil {
		return err
	}
	if in.GetStatus() == "STOPPING" {
		return s.failure("RESOURCE_NOT_READY", in.GetSelfLink())
	}
	in.Status = new("STOPPING")
	return s.save(in)
}

// dropInstance forgets an instance, and its disks unless they stay. Call it with mu held.
func (s *Server) dropInstance(in *instance) error {
	var errs []error
	for _, attached := range in.Disks {
		disk, err := s.diskOf(attached.GetSource())
		switch {
		case err != nil: // it is gone
			err = nil
		case attached.GetAutoDelete():
			err = s.dropDisk(disk)
		default:
			disk.Users, disk.LastDetachTimestamp = nil, new(s.stamp())
			err = s.save(disk)
		}
		errs = append(errs, err)
	}
	return errors.Join(append(errs, remove(s.file(in, ".serial")), s.drop(in))...)
}
