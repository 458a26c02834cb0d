package gce

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
)

// Host is what instances run on. Of disks that are not raw files it knows alone
// what they hold.
type Host interface {
	// Unpack makes the disk, a folder that does not exist yet, from an image file.
	Unpack(ctx context.Context, image, disk string) error
	// Capture writes an image file from the folder of a disk, wholly or not at all.
	Capture(ctx context.Context, disk, image string) error
	// Boot returns when the machine has started; ctx ends when the server closes.
	Boot(ctx context.Context, spec Spec) (Machine, error)
}

// Remover is implemented by a Host whose disks hold files of other users, as
// they do where there is no root.
type Remover interface {
	// Remove deletes a disk, or what a killed Unpack left of one.
	Remove(ctx context.Context, disk string) error
}

// Machine is one that was started.
type Machine interface {
	// Stop ends it and returns when nothing of it runs any more.
	Stop() error
	// Done is closed when it has ended, by itself too.
	Done() <-chan struct{}
}

// Spec is the machine that an instance needs.
type Spec struct {
	Name         string
	Disk         string            // the boot disk: a raw file, to which nothing is written, or a folder
	Devices      map[string]string // raw files of the other disks, by device name
	Confidential bool              // a TDX VM
	// Users are the logins of the metadata's ssh-keys with their authorized_keys.
	Users    map[string]string
	Address  string // the instance's own, 127.x.y.z
	SSHPort  int
	Metadata string    // "host:port" of the instance's metadata server
	Serial   io.Writer // the first serial port
}

// boot starts what the instance is, unless it is to be silent.
func (s *Server) boot(ctx context.Context, in *instance) error {
	spec, silent, err := s.stage(in)
	if err != nil {
		return errors.Join(err, s.halt(in))
	}
	var m Machine
	if !silent {
		if m, err = s.options.Host.Boot(ctx, spec); err != nil {
			return errors.Join(err, s.halt(in))
		}
	}
	if !s.started(in, m) {
		return errors.Join(context.Canceled, stop(m), s.halt(in))
	}
	return s.locked(func() error { return s.save(in) })
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
	in.Status, in.LastStartTimestamp = new("RUNNING"), new(s.stamp())
	if m != nil {
		s.running.Go(func() { s.watch(in, m) })
	}
	if d := in.Scheduling.MaxRunDuration; d != nil && in.limit == nil {
		var limit *time.Timer
		limit = time.AfterFunc(time.Duration(d.GetSeconds())*time.Second, func() { s.expire(in, &limit) })
		in.limit = limit
	}
	return true
}

// stage gives the instance what it has before it starts.
func (s *Server) stage(in *instance) (spec Spec, silent bool, err error) {
	address, err := freeAddress(s.options.SSHPort)
	if err != nil {
		return Spec{}, false, err
	}
	devices, err := s.devices(s.ctx, in)
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
	in.serial, err = os.OpenFile(s.file(in, ".serial"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return Spec{}, false, err
	}
	if in.GetStatus() == "RUNNING" { // it is being reset
		address = in.NetworkInterfaces[0].GetNetworkIP()
	} else {
		in.Status = new("STAGING")
	}
	in.live(address)
	disk, err := s.diskOf(in.Disks[0].GetSource())
	if err != nil {
		return Spec{}, false, err
	}
	from, ok := s.rawOf(disk)
	if !ok {
		from = s.file(disk, "")
	}
	spec = Spec{Name: in.GetName(), Disk: from, Devices: devices, Confidential: confidential(in.Instance),
		Users: users(in.Metadata), Address: address, SSHPort: s.options.SSHPort,
		Metadata: in.metadata.address, Serial: in.serial}
	return spec, s.faults.Silent, s.save(in)
}

// live gives the instance its address, inside and out.
func (in *instance) live(address string) {
	for _, nic := range in.NetworkInterfaces {
		nic.NetworkIP = &address
		for _, access := range nic.AccessConfigs {
			access.NatIP = &address
		}
	}
}

// freeAddress finds a loopback address whose port nobody listens on: one of four
// million, for rehearsals beside this one choose theirs the same way.
func freeAddress(port int) (string, error) {
	var errs []error
	for range 8 {
		var b [3]byte
		_, _ = rand.Read(b[:]) // never fails
		address := fmt.Sprintf("127.%d.%d.%d", 64+b[0]%128, b[1], 1+b[2]%254)
		l, err := net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(port)))
		if err == nil {
			return address, l.Close()
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

// users reads the lines "login:key" of ssh-keys.
func users(metadata *computepb.Metadata) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(attributes(metadata)["ssh-keys"]) {
		if login, key, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			all[login] += key + "\n"
		}
	}
	return all
}

// watch notices a machine that ends by itself.
func (s *Server) watch(in *instance, m Machine) {
	<-m.Done()
	s.mu.Lock()
	ended := in.machine == m && in.GetStatus() == "RUNNING"
	if ended {
		_ = s.terminated(in) // the state in memory is what counts while this process lives
	}
	s.mu.Unlock()
	if ended {
		_ = s.halt(in) // there is nobody to tell
	}
}

// expire deletes an instance whose maxRunDuration is over.
func (s *Server) expire(in *instance, limit **time.Timer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || in.limit != *limit || in.GetStatus() != "RUNNING" {
		return
	}
	s.start("instances.delete", in, s.deletion(in))
}

// halt stops what runs of the instance, and its clock, and leaves its status alone.
func (s *Server) halt(in *instance) error {
	s.mu.Lock()
	limit := in.limit
	in.limit = nil
	s.mu.Unlock()
	if limit != nil {
		limit.Stop()
	}
	return s.cut(in)
}

// cut stops what runs of the instance, whose time goes on.
func (s *Server) cut(in *instance) error {
	s.mu.Lock()
	m, metadata, serial := in.machine, in.metadata, in.serial
	in.machine, in.metadata, in.serial = nil, nil, nil
	s.mu.Unlock()
	errs := []error{stop(m)}
	if metadata != nil {
		errs = append(errs, metadata.close())
	}
	if serial != nil {
		errs = append(errs, serial.Close())
	}
	return errors.Join(errs...)
}

func stop(m Machine) error {
	if m == nil {
		return nil
	}
	return m.Stop()
}

// terminated writes down that nothing runs any more. Call it with mu held.
func (s *Server) terminated(in *instance) error {
	in.Status, in.LastStopTimestamp = new("TERMINATED"), new(s.stamp())
	for _, nic := range in.NetworkInterfaces {
		for _, access := range nic.AccessConfigs {
			access.NatIP = nil // an ephemeral address is given back
		}
	}
	return s.save(in)
}
