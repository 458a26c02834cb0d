package gce

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	compute "google.golang.org/api/compute/v1"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/file"
)

// Everything is kept as STATE/images/PROJECT/NAME.json with NAME.tar,
// STATE/disks/NAME.json with the folder NAME, and STATE/instances/NAME.json with
// NAME.serial. The .json comes first and goes last, so that a kill never leaves
// something that nobody knows of.

func (s *Server) file(kind, name, ending string) string {
	return filepath.Join(s.options.State, kind, name+ending)
}

func (s *Server) imageFile(image *compute.Image, ending string) string {
	return s.file("images", filepath.Join(project(pathOf(image.SelfLink)), image.Name), ending)
}

func save(path string, resource any) error {
	data, err := canonical.Marshal(resource)
	if err != nil {
		return err
	}
	return file.Write(path, data, 0o644)
}

func (s *Server) saveImage(image *compute.Image) error {
	return save(s.imageFile(image, ".json"), image)
}

func (s *Server) saveDisk(disk *compute.Disk) error {
	return save(s.file("disks", disk.Name, ".json"), disk)
}

func (s *Server) saveInstance(in *instance) error {
	return save(s.file("instances", in.resource.Name, ".json"), in.resource)
}

// saved reads every resource of one folder.
func saved[T any](folder string) ([]*T, error) {
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var all []*T
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".json") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		if err != nil {
			return nil, err
		}
		resource := new(T)
		if err := canonical.Unmarshal(data, resource); err != nil {
			return nil, &fs.PathError{Op: "read", Path: filepath.Join(folder, entry.Name()), Err: err}
		}
		all = append(all, resource)
	}
	return all, nil
}

// remove deletes files; one that is not there is no error.
func remove(paths ...string) error {
	var errs []error
	for _, path := range paths {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
