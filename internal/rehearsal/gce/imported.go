package gce

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	compute "google.golang.org/api/compute/v1"

	"github.com/calimero-network/mero-tee/internal/base/file"
)

// Import puts an image into a project as one that was always there, such as a
// public base image. One that is there already stays as it is.
func (s *Server) Import(ctx context.Context, project string, image *compute.Image, tar string) error {
	if !projectForm.MatchString(project) || !nameForm.MatchString(image.Name) {
		return errors.New("an image is imported under a project's and an image's name")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	path := imagePath(project, image.Name)
	if s.images[path] != nil {
		return nil
	}
	in := *image
	in.Kind, in.Id, in.Status, in.SelfLink = "compute#image", newID(), "READY", root+path
	in.LabelFingerprint = fingerprint(in.Labels)
	if in.CreationTimestamp == "" {
		in.CreationTimestamp = s.stamp()
	}
	if in.Architecture == "" {
		in.Architecture = "X86_64"
	}
	if in.DiskSizeGb == 0 {
		in.DiskSizeGb = 10
	}
	size, err := place(ctx, tar, s.imageFile(&in, ".tar"))
	if err != nil {
		return err
	}
	in.ArchiveSizeBytes = size
	if err := s.saveImage(&in); err != nil {
		return err
	}
	s.images[path] = &in
	return nil
}

// place gives a file a second name, or copies it where a link cannot reach.
func place(ctx context.Context, from, to string) (int64, error) {
	from, err := filepath.EvalSymlinks(from) // a link to a symbolic link may lead nowhere
	if err != nil {
		return 0, err
	}
	info, err := os.Stat(from)
	if err != nil {
		return 0, err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return 0, err
	}
	if err := remove(to); err != nil {
		return 0, err
	}
	if os.Link(from, to) == nil {
		return info.Size(), nil
	}
	f, err := os.Open(from)
	if err != nil {
		return 0, err
	}
	defer f.Close() //nolint:errcheck // read-only handle
	return info.Size(), file.From(to, reader{ctx, f}, 0o644)
}

// reader stops when its context ends.
type reader struct {
	ctx context.Context
	io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
