package gce

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	compute "google.golang.org/api/compute/v1"
)

// restore takes up what the last process left. Images that were being made are
// made now, as the cloud would go on without its client; instances have stopped.
func (s *Server) restore() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := errors.Join(s.clean(), s.restoreDisks(), s.restoreInstances()); err != nil {
		return err
	}
	projects, err := os.ReadDir(filepath.Join(s.options.State, "images"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, p := range projects {
		if err := s.restoreImages(p.Name()); err != nil {
			return err
		}
	}
	return nil
}

// clean removes what is half written: temporary names begin with a dot.
func (s *Server) clean() error {
	var errs []error
	for _, folder := range []string{"disks", "instances", "images/*"} {
		found, err := filepath.Glob(filepath.Join(s.options.State, folder, ".*"))
		errs = append(errs, err)
		for _, path := range found {
			errs = append(errs, s.wipe(path))
		}
	}
	return errors.Join(errs...)
}

// restoreDisks keeps half-made disks, which are good for deletion only.
func (s *Server) restoreDisks() error {
	all, err := saved[compute.Disk](filepath.Join(s.options.State, "disks"))
	for _, disk := range all {
		if disk.Status != "READY" {
			disk.Status = "FAILED"
		}
		s.disks[disk.Name] = disk
	}
	return err
}

func (s *Server) restoreInstances() error {
	all, err := saved[compute.Instance](filepath.Join(s.options.State, "instances"))
	for _, resource := range all {
		in := &instance{resource: resource, attributes: map[string]string{}}
		s.instances[resource.Name] = in
		if resource.Status != "TERMINATED" {
			err = errors.Join(err, s.terminated(in))
		}
	}
	return err
}

func (s *Server) restoreImages(project string) error {
	all, err := saved[compute.Image](filepath.Join(s.options.State, "images", project))
	if err != nil {
		return err
	}
	for _, image := range all {
		path := imagePath(project, image.Name)
		s.images[path] = image
		disk := s.disks[last(image.SourceDisk)]
		switch {
		case image.Status == "READY":
		case disk != nil && disk.Status == "READY":
			s.start("images.insert", path, image.Id, s.capturing(image, disk))
		default:
			err = errors.Join(err, s.dropImage(image))
		}
	}
	return err
}
