package gce

import (
	"context"
	"errors"

	compute "google.golang.org/api/compute/v1"
)

func (s *Server) deleteInstance(q request) (any, error) {
	in, err := s.find(q)
	if err != nil {
		return nil, err
	}
	if in.resource.Status == "STOPPING" {
		return nil, notReady(pathOf(in.resource.SelfLink))
	}
	return s.begin(q, pathOf(in.resource.SelfLink), in.resource.Id, s.deletion(in)).resource, nil
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
		s.mu.Lock()
		defer s.mu.Unlock()
		if err != nil {
			return errors.Join(err, s.terminated(in)) // so that it can be tried again
		}
		return s.dropInstance(in)
	}}
}

// leaving are the disks that go with the instance.
func (s *Server) leaving(in *instance) []*compute.Disk {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*compute.Disk
	for _, attached := range in.resource.Disks {
		if disk := s.disks[last(attached.Source)]; disk != nil && attached.AutoDelete {
			all = append(all, disk)
		}
	}
	return all
}

func (s *Server) stopInstance(q request) (any, error) {
	in, err := s.find(q)
	if err != nil {
		return nil, err
	}
	return s.begin(q, pathOf(in.resource.SelfLink), in.resource.Id, s.stopping(in)).resource, nil
}

func (s *Server) stopping(in *instance) job {
	return job{do: func(ctx context.Context) error {
		if err := s.claim(ctx, in); err != nil {
			return err
		}
		err := s.halt(in)
		s.mu.Lock()
		defer s.mu.Unlock()
		return errors.Join(err, s.terminated(in))
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
	if s.instances[in.resource.Name] != in {
		return s.known("RESOURCE_NOT_FOUND", in.resource.SelfLink)
	}
	if in.resource.Status == "STOPPING" {
		return s.known("RESOURCE_NOT_READY", in.resource.SelfLink)
	}
	in.resource.Status = "STOPPING"
	return s.saveInstance(in)
}

// dropInstance forgets an instance, and its disks unless they stay. Call it with mu held.
func (s *Server) dropInstance(in *instance) error {
	name := in.resource.Name
	var errs []error
	for _, attached := range in.resource.Disks {
		disk := s.disks[last(attached.Source)]
		switch {
		case disk == nil:
		case attached.AutoDelete:
			errs = append(errs, s.dropDisk(disk))
		default:
			errs = append(errs, s.detach(disk, in.resource.SelfLink))
		}
	}
	delete(s.instances, name)
	return errors.Join(append(errs, remove(s.file("instances", name, ".serial"), s.file("instances", name, ".json")))...)
}
