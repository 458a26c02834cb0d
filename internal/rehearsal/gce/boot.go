package gce

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	compute "google.golang.org/api/compute/v1"
)

// boot starts what the instance is, unless it is to be silent.
func (s *Server) boot(ctx context.Context, in *instance) error {
	spec, silent, err := s.stage(in)
	if err != nil {
		return errors.Join(err, s.halt(in))
	}
	var m Machine
	if !silent {
		if m, err = s.options.Hosts.Boot(ctx, spec); err != nil {
			return errors.Join(err, s.halt(in))
		}
	}
	if !s.started(in, m) {
		return errors.Join(context.Canceled, stop(m), s.halt(in))
	}
	return s.locked(func() error { return s.saveInstance(in) })
}

// started takes note of a machine that runs; the machine is not wanted any more
// when the server has begun to close.
func (s *Server) started(in *instance, m Machine) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	in.machine = m
	in.resource.Status, in.resource.LastStartTimestamp = "RUNNING", s.stamp()
	if m != nil {
		s.running.Go(func() { s.watch(in, m) })
	}
	if d := in.resource.Scheduling.MaxRunDuration; d != nil {
		in.limit = time.AfterFunc(time.Duration(d.Seconds)*time.Second, func() { s.expire(in, m) })
	}
	return true
}

// stage gives the instance what it has before it starts.
func (s *Server) stage(in *instance) (spec Spec, silent bool, err error) {
	address, err := freeAddress(s.options.SSHPort)
	if err != nil {
		return Spec{}, false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return Spec{}, false, context.Canceled
	}
	l, err := s.listen()
	if err != nil {
		return Spec{}, false, err
	}
	in.metadata = s.serveMetadata(in, l)
	in.serial, err = os.OpenFile(s.file("instances", in.resource.Name, ".serial"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return Spec{}, false, err
	}
	in.resource.Status = "STAGING"
	for _, nic := range in.resource.NetworkInterfaces {
		nic.NetworkIP = address
		for _, access := range nic.AccessConfigs {
			access.NatIP = address
		}
	}
	return s.spec(in, address), s.faults.Silent, s.saveInstance(in)
}

func (s *Server) spec(in *instance, address string) Spec {
	r := in.resource
	return Spec{Name: r.Name, Disk: s.file("disks", last(r.Disks[0].Source), ""), Confidential: confidential(r), Users: users(r.Metadata),
		Address: address, SSHPort: s.options.SSHPort, Metadata: in.metadata.address, Serial: in.serial}
}

// users reads the lines "login:key" of ssh-keys.
func users(metadata *compute.Metadata) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(attributes(metadata)["ssh-keys"]) {
		if login, key, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			all[login] += key + "\n"
		}
	}
	return all
}
