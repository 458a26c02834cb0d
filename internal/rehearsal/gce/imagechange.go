package gce

import (
	"context"
	"net/http"
	"slices"

	compute "google.golang.org/api/compute/v1"
)

func (s *Server) deprecateImage(q request) (any, error) {
	image, err := s.image(q)
	if err != nil {
		return nil, err
	}
	var status compute.DeprecationStatus
	if err := q.decode(&status); err != nil {
		return nil, err
	}
	if !slices.Contains([]string{"", "ACTIVE", "DEPRECATED", "OBSOLETE", "DELETED"}, status.State) {
		return nil, invalid("resource.state", status.State, "Unknown deprecation state.")
	}
	return s.changeImage(q, image, func() error {
		image.Deprecated = &status
		if status.State == "" && status.Deprecated == "" && status.Obsolete == "" && status.Deleted == "" {
			image.Deprecated = nil
		}
		return s.saveImage(image)
	}), nil
}

func (s *Server) setImageLabels(q request) (any, error) {
	image, err := s.image(q)
	if err != nil {
		return nil, err
	}
	var in compute.GlobalSetLabelsRequest
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	if in.LabelFingerprint != image.LabelFingerprint {
		return nil, refuse(http.StatusPreconditionFailed, "conditionNotMet", "Labels fingerprint either invalid or resource labels have changed")
	}
	if err := checkLabels(in.Labels); err != nil {
		return nil, err
	}
	return s.changeImage(q, image, func() error {
		image.Labels, image.LabelFingerprint = in.Labels, fingerprint(in.Labels)
		return s.saveImage(image)
	}), nil
}

// changeImage is an operation on an image that is still there.
func (s *Server) changeImage(q request, image *compute.Image, change func() error) *compute.Operation {
	path := pathOf(image.SelfLink)
	work := func() error {
		if s.images[path] != image {
			return s.known("RESOURCE_NOT_FOUND", path)
		}
		return change()
	}
	return s.begin(q, path, image.Id, job{do: func(context.Context) error { return s.locked(work) }}).resource
}

func (s *Server) deleteImage(q request) (any, error) {
	image, err := s.image(q)
	if err != nil {
		return nil, err
	}
	path := pathOf(image.SelfLink)
	if image.Status == "PENDING" {
		return nil, notReady(path)
	}
	for _, disk := range s.disks {
		if disk.Status == "CREATING" && disk.SourceImage == image.SelfLink {
			return nil, inUse("image", path, pathOf(disk.SelfLink))
		}
	}
	return s.changeImage(q, image, func() error { return s.dropImage(image) }), nil
}

// dropImage forgets an image. Call it with mu held.
func (s *Server) dropImage(image *compute.Image) error {
	delete(s.images, pathOf(image.SelfLink))
	return remove(s.imageFile(image, ".tar"), s.imageFile(image, ".json"))
}
