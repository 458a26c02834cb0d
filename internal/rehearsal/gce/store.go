package gce

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/file"
)

// Everything is kept as STATE/images/PROJECT/NAME.json with NAME.raw, the bytes of
// a disk, or NAME.tar, a root file system; STATE/disks/NAME.json with NAME.raw or
// the folder NAME; and STATE/instances/NAME.json with NAME.serial. The .json comes
// first and goes last, so that a kill never leaves something that nobody knows of.

// file is where a part of a resource is kept.
func (s *Server) file(r resource, ending string) string {
	path := pathOf(r.GetSelfLink())
	folder := last(strings.TrimSuffix(path, "/"+r.GetName())) // "images", "disks", "instances"
	if folder == "images" {
		return imageFile(s.options.State, project(path), r.GetName(), ending)
	}
	return filepath.Join(s.options.State, folder, r.GetName()+ending)
}

// add keeps a new resource.
func (s *Server) add(r resource) error {
	if err := s.save(r); err != nil {
		return err
	}
	s.resources[pathOf(r.GetSelfLink())] = r
	return nil
}

// save writes a resource down as the API would answer it.
func (s *Server) save(r resource) error {
	data, err := protojson.Marshal(r)
	if err == nil {
		data, err = canonical.Marshal(json.RawMessage(data)) // protojson's own spaces vary
	}
	if err != nil {
		return err
	}
	return file.Write(s.file(r, ".json"), data, 0o644)
}

// drop forgets a resource. Call it with mu held.
func (s *Server) drop(r resource) error {
	delete(s.resources, pathOf(r.GetSelfLink()))
	return remove(s.file(r, ".json"))
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

// restore takes up what the last process left. Images that were being made are
// made now, as the cloud would go on without its client; instances have stopped.
func (s *Server) restore() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := errors.Join(s.clean(),
		s.load("disks", func() resource { return &computepb.Disk{} }),
		s.load("instances", func() resource { return newInstance() }),
		s.load("images/*", func() resource { return &computepb.Image{} }))
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range s.resources {
		switch r := r.(type) {
		case *instance:
			if r.GetStatus() != "TERMINATED" {
				errs = append(errs, s.terminated(r))
			}
		case *computepb.Image:
			errs = append(errs, s.resume(r))
		}
	}
	return errors.Join(errs...)
}

// clean removes what is half written: temporary names begin with a dot.
func (s *Server) clean() error {
	var errs []error
	for _, folder := range []string{"disks", "instances", "images/*"} {
		found, err := fs.Glob(os.DirFS(s.options.State), folder+"/.*")
		errs = append(errs, err)
		for _, name := range found {
			errs = append(errs, s.wipe(filepath.Join(s.options.State, name)))
		}
	}
	return errors.Join(errs...)
}

// load reads every resource of a folder. Half-made disks are good for deletion only.
func (s *Server) load(folder string, empty func() resource) error {
	found, err := fs.Glob(os.DirFS(s.options.State), folder+"/*.json")
	for _, name := range found {
		path, r := filepath.Join(s.options.State, name), empty()
		data, failed := os.ReadFile(path)
		if failed == nil {
			failed = protojson.Unmarshal(data, r)
		}
		if failed == nil && s.file(r, ".json") != path {
			failed = fmt.Errorf("it describes %s", r.GetSelfLink())
		}
		if failed != nil {
			return &fs.PathError{Op: "read", Path: path, Err: failed}
		}
		if disk, ok := r.(*computepb.Disk); ok && disk.GetStatus() != "READY" {
			disk.Status = new("FAILED")
		}
		s.resources[pathOf(r.GetSelfLink())] = r
	}
	return err
}

// resume goes on with an image that was being made, if its disk is still there.
func (s *Server) resume(image *computepb.Image) error {
	if image.GetStatus() == "READY" {
		return nil
	}
	disk, err := s.diskOf(image.GetSourceDisk())
	if err != nil || disk.GetStatus() != "READY" {
		return s.dropImage(image)
	}
	s.start("images.insert", image, s.capturing(image, disk))
	return nil
}

// wipe deletes a disk's folder or file, or nothing when it is not there.
func (s *Server) wipe(folder string) error {
	if info, err := os.Lstat(folder); err == nil && !info.IsDir() {
		return remove(folder)
	}
	if _, err := os.Lstat(folder); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := unmounted(folder); err != nil {
		return err
	}
	if r, ok := s.options.Host.(Remover); ok {
		return r.Remove(s.ctx, folder)
	}
	return os.RemoveAll(folder)
}

// unmounted refuses a folder below which something is still mounted: a machine
// that was killed may have left the host's /dev there, and what is removed
// through a mount is gone from the host.
func unmounted(folder string) error {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if errors.Is(err, fs.ErrNotExist) {
		return nil // not Linux: machines mount nothing
	}
	if err != nil {
		return err
	}
	there := " " + strings.ReplaceAll(folder, " ", `\040`)
	if bytes.Contains(mounts, []byte(there+"/")) || bytes.Contains(mounts, []byte(there+" ")) {
		return fmt.Errorf("something is still mounted at or below %s", folder)
	}
	return nil
}
