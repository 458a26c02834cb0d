package gce

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// root begins the selfLinks of compute/v1, whichever host was asked.
const root = "https://www.googleapis.com/compute/v1/"

// nameForm is the pattern of resource names in the vendor's description.
var (
	nameForm  = regexp.MustCompile(`^[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?$`)
	labelKey  = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)
	labelText = regexp.MustCompile(`^[a-z0-9_-]{0,63}$`)
)

func (s *Server) region() string { return s.options.Zone[:strings.LastIndex(s.options.Zone, "-")] }

func (s *Server) scope() string { return "projects/" + s.options.Project + "/zones/" + s.options.Zone }

func (s *Server) zonal(collection, name string) string {
	return s.scope() + "/" + collection + "/" + name
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

func numeral(id uint64) string { return strconv.FormatUint(id, 10) }

// numericID is the id of what was always there.
func numericID(name string) uint64 {
	sum := sha256.Sum256([]byte(name))
	return binary.BigEndian.Uint64(sum[:])>>16 | 1
}

func (s *Server) stamp() string {
	return s.options.Now().UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

// fingerprint changes with the value, for optimistic locking.
func fingerprint(value any) string {
	data, _ := json.Marshal(value) // maps and lists of strings always marshal
	sum := sha256.Sum256(data)
	return base64.StdEncoding.EncodeToString(sum[:8])
}

// at is when a stamp was made; the zero time when it is none.
func at(stamp string) time.Time {
	t, _ := time.Parse(time.RFC3339, stamp)
	return t
}
