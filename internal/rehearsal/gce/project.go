package gce

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cloud.google.com/go/compute/apiv1/computepb"
)

const (
	birthday    = "1969-12-31T16:00:00.000-08:00" // when all that was always there was made
	cpuPlatform = "Intel Sapphire Rapids"         // of the zone, and of every c3 instance
)

func (s *Server) projectCalls() []call {
	return []call{
		{"projects.get", "GET ", s.getProject},
		{"zones.get", "GET /zones/{zone}", s.getZone},
		{"machineTypes.get", "GET /zones/{zone}/machineTypes/{machineType}", s.getMachineType},
	}
}

func (s *Server) getProject(request) (any, error) {
	name := s.options.Project
	return &computepb.Project{Kind: new("compute#project"), Id: new(fixedID(name)), Name: &name,
		SelfLink: new(root + "projects/" + name), CreationTimestamp: new(birthday), DefaultServiceAccount: &s.account.email,
		CommonInstanceMetadata: &computepb.Metadata{Kind: new("compute#metadata"), Fingerprint: fingerprint(nil)}}, nil
}

func (s *Server) getZone(request) (any, error) {
	name := s.options.Zone
	return &computepb.Zone{Kind: new("compute#zone"), Id: new(fixedID(name)), Name: &name, Status: new("UP"),
		Region: new(root + "projects/" + s.options.Project + "/regions/" + s.region()), SelfLink: new(root + s.scope()),
		CreationTimestamp: new(birthday), AvailableCpuPlatforms: []string{cpuPlatform}}, nil
}

var machineForm = regexp.MustCompile(`^(c3|e2|n2|n2d)-(standard|highcpu|highmem)-([0-9]{1,3})$`)

// sizes are those of each series' machine types, in CPUs; memories those of a
// CPU, in GiB.
var (
	sizes = map[string][]int32{"c3": {4, 8, 22, 44, 88, 176}, "e2": {2, 4, 8, 16, 32},
		"n2": {2, 4, 8, 16, 32, 48, 64, 80}, "n2d": {2, 4, 8, 16, 32, 48, 64, 80, 96}}
	memories = map[string]int32{"standard": 4, "highcpu": 2, "highmem": 8}
)

// machineType gives the CPUs and the memory, in MiB, of a type that exists.
func machineType(name string) (cpus, memory int32, ok bool) {
	m := machineForm.FindStringSubmatch(name)
	if m == nil {
		return 0, 0, false
	}
	n, err := strconv.Atoi(m[3])
	cpus = int32(n) //nolint:gosec // three digits
	return cpus, cpus * memories[m[2]] << 10, err == nil && slices.Contains(sizes[m[1]], cpus)
}

func (s *Server) getMachineType(q request) (any, error) {
	name := q.PathValue("machineType")
	cpus, memory, ok := machineType(name)
	if !ok {
		return nil, notFound(s.zonal("machineTypes", name))
	}
	return &computepb.MachineType{Kind: new("compute#machineType"), Id: new(fixedID(name)), Name: &name,
		Zone:     &s.options.Zone,
		SelfLink: new(root + s.zonal("machineTypes", name)), CreationTimestamp: new(birthday), GuestCpus: &cpus,
		MemoryMb:     &memory,
		Architecture: new("X86_64"), MaximumPersistentDisks: new(int32(128)),
		MaximumPersistentDisksSizeGb: new(int64(524288))}, nil
}

// projectPermissions is the Resource Manager's projects.testIamPermissions: what
// the caller may do before any resource exists is asked there.
func (s *Server) projectPermissions() http.Handler {
	test := s.serve(call{name: "projects.testIamPermissions", handle: s.testPermissions})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		project, ok := strings.CutSuffix(r.PathValue("resource"), ":testIamPermissions")
		if !ok {
			s.unserved(w, r)
			return
		}
		r.SetPathValue("project", project)
		test.ServeHTTP(w, r)
	})
}

// testPermissions answers those of the asked permissions that the caller has.
func (s *Server) testPermissions(q request) (any, error) {
	var in computepb.TestPermissionsRequest
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	granted := slices.DeleteFunc(in.Permissions, func(p string) bool {
		return !s.may(p)
	})
	return &computepb.TestPermissionsResponse{Permissions: granted}, nil
}
