package gce

import (
	"cmp"
	"strings"

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

// public says whether a project of others has images here.
func (s *Server) public(project string) bool {
	for key := range s.images {
		if strings.HasPrefix(key, project+"/") {
			return true
		}
	}
	return false
}

// Image is the file of an image that is ready.
func (s *Server) Image(project, name string) (path string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	image := s.images[project+"/"+name]
	if image == nil || image.Status != "READY" {
		return "", false
	}
	return s.imageFile(image, ".tar"), true
}

// image finds the one that a request names.
func (s *Server) image(q request) (*compute.Image, error) {
	path := imagePath(q.PathValue("project"), q.PathValue("image"))
	image := s.images[q.PathValue("project")+"/"+q.PathValue("image")]
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
	for key, image := range s.images {
		current := image.Deprecated == nil || image.Deprecated.State == "" || image.Deprecated.State == "ACTIVE"
		if !strings.HasPrefix(key, project+"/") || image.Family != family || image.Status != "READY" || !current {
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
	var all []*compute.Image
	for key, image := range s.images {
		if strings.HasPrefix(key, q.PathValue("project")+"/") {
			all = append(all, image)
		}
	}
	page, next, err := list(q, all, func(i *compute.Image) (string, string) { return i.Name, i.CreationTimestamp })
	return &compute.ImageList{Kind: "compute#imageList", Id: here, SelfLink: root + here, Items: page, NextPageToken: next}, err
}
