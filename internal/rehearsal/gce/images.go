package gce

import (
	"cmp"

	compute "google.golang.org/api/compute/v1"
)

func (s *Server) imageCalls() []call {
	const image = "/global/images/{image}"
	return []call{
		{"images.get", "GET " + image, []string{"compute.images.get"}, 0, s.getImage},
		{"images.getFromFamily", "GET /global/images/family/{family}", []string{"compute.images.getFromFamily"}, 0, s.getImageFromFamily},
		{"images.list", "GET /global/images", []string{"compute.images.list"}, 0, s.listImages},
		{"images.insert", "POST /global/images", []string{"compute.images.create", "compute.disks.useReadOnly"}, 0, s.insertImage},
		{"images.deprecate", "POST " + image + "/deprecate", []string{"compute.images.deprecate"}, 0, s.deprecateImage},
		{"images.delete", "DELETE " + image, []string{"compute.images.delete"}, 0, s.deleteImage},
		{"images.setLabels", "POST " + image + "/setLabels", []string{"compute.images.setLabels"}, 0, s.setImageLabels},
		{"images.testIamPermissions", "POST " + image + "/testIamPermissions", nil, 0, s.testPermissions},
	}
}

func (s *Server) imagesOf(owner string) []*compute.Image {
	var all []*compute.Image
	for path, image := range s.images {
		if project(path) == owner {
			all = append(all, image)
		}
	}
	return all
}

// image finds the one that a request names.
func (s *Server) image(q request) (*compute.Image, error) {
	path := imagePath(q.PathValue("project"), q.PathValue("image"))
	image := s.images[path]
	if image == nil {
		return nil, notFound(path)
	}
	return image, nil
}

func (s *Server) getImage(q request) (any, error) {
	image, err := s.image(q)
	if err == nil && s.faults.hides(image.SelfLink) {
		err = notFound(pathOf(image.SelfLink))
	}
	return image, err
}

// newest is the family's newest image that is ready and not deprecated.
func (s *Server) newest(project, family string) *compute.Image {
	var best *compute.Image
	for _, image := range s.imagesOf(project) {
		current := image.Deprecated == nil || image.Deprecated.State == "" || image.Deprecated.State == "ACTIVE"
		if image.Family != family || image.Status != "READY" || !current {
			continue
		}
		if best == nil || cmp.Or(at(image.CreationTimestamp).Compare(at(best.CreationTimestamp)), cmp.Compare(image.Name, best.Name)) > 0 {
			best = image
		}
	}
	return best
}

func (s *Server) getImageFromFamily(q request) (any, error) {
	image := s.newest(q.PathValue("project"), q.PathValue("family"))
	if image == nil {
		return nil, notFound(pathOf(q.URL.Path))
	}
	return image, nil
}

func (s *Server) listImages(q request) (any, error) {
	here := pathOf(q.URL.Path)
	page, next, err := list(q, s.imagesOf(q.PathValue("project")), func(i *compute.Image) (string, string) { return i.Name, i.CreationTimestamp })
	return &compute.ImageList{Kind: "compute#imageList", Id: here, SelfLink: root + here, Items: page, NextPageToken: next}, err
}
