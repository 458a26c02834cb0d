package gce

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"regexp"
	"strings"

	"google.golang.org/protobuf/proto"
)

// root begins the selfLinks of compute/v1, whichever host was asked.
const root = "https://www.googleapis.com/compute/v1/"

// resource is what all messages of the API that describe something have in common.
type resource interface {
	proto.Message
	GetId() uint64
	GetName() string
	GetSelfLink() string
}

// find gives the resource of a type and a path.
func find[T resource](s *Server, path string) (T, error) {
	found, ok := s.resources[path].(T)
	if !ok {
		return found, notFound(path)
	}
	return found, nil
}

// all gives the resources of a type in a project.
func all[T resource](s *Server, owner string) (found []T) {
	for path, r := range s.resources {
		if of, ok := r.(T); ok && project(path) == owner {
			found = append(found, of)
		}
	}
	return found
}

// get answers with the resource that find gives for a request.
func get[T resource](s *Server, find func(request) (T, error)) handler {
	return func(q request) (any, error) {
		r, err := find(q)
		if err == nil && s.faults.hides(r.GetSelfLink()) {
			err = notFound(pathOf(r.GetSelfLink()))
		}
		return r, err
	}
}

func imagePath(project, name string) string { return "projects/" + project + "/global/images/" + name }

// pathOf is the part of a full or partial link that begins with projects/, or the link itself.
func pathOf(link string) string {
	if i := strings.Index(link, "projects/"); i >= 0 {
		return link[i:]
	}
	return link
}

func project(path string) string {
	owner, _, _ := strings.Cut(strings.TrimPrefix(path, "projects/"), "/")
	return owner
}

func last(link string) string { return link[strings.LastIndex(link, "/")+1:] }

var (
	nameForm  = regexp.MustCompile(`^[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?$`) // of the vendor's description
	labelKey  = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)
	labelText = regexp.MustCompile(`^[a-z0-9_-]{0,63}$`)
)

func checkName(field, name string) error {
	if !nameForm.MatchString(name) {
		return invalid(field, name, "Must be a match of regex '(?:[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)'")
	}
	return nil
}

func checkLabels(labels map[string]string) error {
	for key, value := range labels {
		if !labelKey.MatchString(key) || !labelText.MatchString(value) {
			return invalid("resource.labels", key+"="+value, "A label violates format constraints.")
		}
	}
	return nil
}

// newID is a resource's id: it is never reused, and looks as the vendor's do.
func newID() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint64(b[:])>>1 | 1<<60
}

// fixedID is the id of what was always there.
func fixedID(name string) uint64 {
	sum := sha256.Sum256([]byte(name))
	return binary.BigEndian.Uint64(sum[:])>>16 | 1
}

// fingerprint changes with the value, for optimistic locking.
func fingerprint(value any) *string {
	data, _ := json.Marshal(value) // maps and lists of strings always marshal
	sum := sha256.Sum256(data)
	return new(base64.StdEncoding.EncodeToString(sum[:8]))
}
