package gce

import (
	"net"

	"cloud.google.com/go/compute/apiv1/computepb"
)

// ParseFilter is for the fuzz target.
func ParseFilter(text string) error {
	_, err := parseFilter(text)
	return err
}

// Unmounted is the guard of every removal of a disk.
func Unmounted(folder string) error { return unmounted(folder) }

// Image is the file of an image that is ready.
func (s *Server) Image(project, name string) (path string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	image, err := find[*computepb.Image](s, imagePath(project, name))
	if err != nil || image.GetStatus() != "READY" {
		return "", false
	}
	if path, ok := s.rawOf(image); ok {
		return path, true
	}
	return s.file(image, archive), true
}

// Calls names every call with its method and path below projects/{project}.
func (s *Server) Calls() map[string]string {
	all := map[string]string{}
	for _, c := range s.calls() {
		all[c.name] = c.route
	}
	return all
}

// Listen replaces the listeners of metadata servers: inside a synctest bubble
// nothing may wait for the network.
func (s *Server) Listen(listen func() (net.Listener, error)) { s.listen = listen }
