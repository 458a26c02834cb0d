package gce

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
)

// instance is one VM.
type instance struct {
	*computepb.Instance
	creation   *operation        // nil when an earlier process made it
	made       []string          // links of the disks that were made with it
	machine    Machine           // nil when nothing runs
	metadata   *metadataServer   // while it runs
	serial     *os.File          // while it runs
	limit      *time.Timer       // of maxRunDuration, while it runs
	attributes map[string]string // guest attributes by namespace/key
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
	if err := s.checkInstance(in.Instance); err != nil {
		return nil, err
	}
	disks, err := s.planDisks(in.Instance)
	if err != nil {
		return nil, err
	}
	if err := checkConfidential(in.Instance, disks[0]); err != nil {
		return nil, err
	}
	s.describeInstance(in.Instance)
	if err := s.addInstance(in, disks); err != nil {
		return nil, err
	}
	in.creation = s.begin(q, in, job{
		do:   func(ctx context.Context) error { return s.provision(ctx, in, disks) },
		undo: func() { s.unmake(in) },
	})
	return in.creation, nil
}

// planDisks checks the attached disks; it gives, in their order, those that
// exist and those to be made.
func (s *Server) planDisks(in *computepb.Instance) ([]*computepb.Disk, error) {
	var planned []*computepb.Disk
	for i, attached := range in.Disks {
		disk, err := s.planDisk(in, i, attached)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(planned, func(other *computepb.Disk) bool { return other.GetName() == disk.GetName() }) {
			return nil, exists(pathOf(disk.GetSelfLink()))
		}
		describeAttached(in, i, attached, disk)
		planned = append(planned, disk)
	}
	return planned, nil
}

func (s *Server) planDisk(in *computepb.Instance, i int, attached *computepb.AttachedDisk) (*computepb.Disk, error) {
	if source := attached.GetSource(); source != "" {
		disk, err := s.diskOf(source)
		if err != nil {
			return nil, notFound(pathOf(source))
		}
		if disk.GetStatus() != "READY" {
			return nil, notReady(pathOf(source))
		}
		return disk, s.busy(disk)
	}
	p := attached.InitializeParams
	if p == nil || p.GetSourceImage() == "" && attached.GetBoot() {
		field := fmt.Sprintf("resource.disks[%d].initializeParams.sourceImage", i)
		return nil, invalid(field, "", "Boot disk must have a source specified")
	}
	name := in.GetName()
	if i > 0 {
		name = fmt.Sprintf("%s-%d", name, i)
	}
	disk := &computepb.Disk{Name: new(cmp.Or(p.GetDiskName(), name)), SizeGb: p.DiskSizeGb, Type: p.DiskType,
		SourceImage: p.SourceImage, Labels: p.Labels}
	return disk, s.describeDisk(disk)
}

func describeAttached(in *computepb.Instance, i int, attached *computepb.AttachedDisk, disk *computepb.Disk) {
	bus := "SCSI"
	if series(in) == "c3" {
		bus = "NVME"
	}
	attached.Kind, attached.Type = new("compute#attachedDisk"), new("PERSISTENT")
	attached.Index = new(int32(i)) //nolint:gosec // few disks
	attached.Source, attached.InitializeParams = disk.SelfLink, nil
	attached.DiskSizeGb, attached.GuestOsFeatures, attached.Licenses = disk.SizeGb, disk.GuestOsFeatures, disk.Licenses
	attached.Architecture, attached.Mode = disk.Architecture, new(cmp.Or(attached.GetMode(), "READ_WRITE"))
	attached.DeviceName = new(cmp.Or(attached.GetDeviceName(), fmt.Sprintf("persistent-disk-%d", i)))
	attached.Interface = new(cmp.Or(attached.GetInterface(), bus))
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
			in.made = append(in.made, disk.GetSelfLink())
		}
		disk.Users, disk.LastAttachTimestamp = []string{in.GetSelfLink()}, new(s.stamp())
		if err := s.add(disk); err != nil {
			return err
		}
	}
	return nil
}

// provision makes the new disks and starts the machine.
func (s *Server) provision(ctx context.Context, in *instance, disks []*computepb.Disk) error {
	for _, disk := range disks {
		if !slices.Contains(in.made, disk.GetSelfLink()) {
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
	for _, attached := range in.Disks {
		attached.AutoDelete = new(slices.Contains(in.made, attached.GetSource()))
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
	return s.begin(q, in, s.deletion(in)), nil
}

// deletion ends an instance and forgets it with the disks that go with it.
func (s *Server) deletion(in *instance) job {
	return job{do: func(ctx context.Context) error {
		if err := s.claim(ctx, in); err != nil {
			return err
		}
		err := s.halt(in)
		for _, disk := range s.leaving(in) {
			if err == nil {
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

// leaving are the disks that go with the instance.
func (s *Server) leaving(in *instance) []*computepb.Disk {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*computepb.Disk
	for _, attached := range in.Disks {
		if disk, err := s.diskOf(attached.GetSource()); err == nil && attached.GetAutoDelete() {
			found = append(found, disk)
		}
	}
	return found
}

func (s *Server) stopping(in *instance) job {
	return job{do: func(ctx context.Context) error {
		if err := s.claim(ctx, in); err != nil {
			return err
		}
		err := s.halt(in)
		return s.locked(func() error { return errors.Join(err, s.terminated(in)) })
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

// dropInstance forgets an instance, and its disks unless they stay. Call it with mu held.
func (s *Server) dropInstance(in *instance) error {
	var errs []error
	for _, attached := range in.Disks {
		disk, err := s.diskOf(attached.GetSource())
		switch {
		case err != nil: // it is gone
		case attached.GetAutoDelete():
			errs = append(errs, s.dropDisk(disk))
		default:
			errs = append(errs, s.detach(disk, in.GetSelfLink()))
		}
	}
	return errors.Join(append(errs, remove(s.file(in, ".serial")), s.drop(in))...)
}

func (s *Server) setMetadata(q request) (any, error) {
	in, err := s.instance(q)
	if err != nil {
		return nil, err
	}
	metadata := &computepb.Metadata{}
	if err := q.decode(metadata); err != nil {
		return nil, err
	}
	if metadata.GetFingerprint() != in.Metadata.GetFingerprint() {
		return nil, refuse(http.StatusPreconditionFailed, "conditionNotMet",
			"Supplied fingerprint does not match current metadata fingerprint.")
	}
	if err := checkMetadata(metadata); err != nil {
		return nil, err
	}
	metadata.Kind, metadata.Fingerprint = new("compute#metadata"), fingerprint(metadata.Items)
	return s.change(q, in, func() error {
		in.Metadata = metadata
		return s.save(in)
	}), nil
}
