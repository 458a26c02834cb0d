package gce

import (
	"regexp"
	"slices"
	"strconv"

	compute "google.golang.org/api/compute/v1"
)

// birthday is when all that was always there was made.
const birthday = "1969-12-31T16:00:00.000-08:00"

func (s *Server) catalogCalls() []call {
	return []call{
		{"projects.get", "GET ", []string{"compute.projects.get"}, 0, s.getProject},
		{"zones.get", "GET /zones/{zone}", []string{"compute.zones.get"}, 0, s.getZone},
		{"zones.list", "GET /zones", []string{"compute.zones.list"}, 0, s.listZones},
		{"regions.get", "GET /regions/{region}", []string{"compute.regions.get"}, 0, s.getRegion},
		{"machineTypes.get", "GET /zones/{zone}/machineTypes/{machineType}", []string{"compute.machineTypes.get"}, 0, s.getMachineType},
		{"networks.get", "GET /global/networks/{network}", []string{"compute.networks.get"}, 0, s.getNetwork},
		{"subnetworks.get", "GET /regions/{region}/subnetworks/{subnetwork}", []string{"compute.subnetworks.get"}, 0, s.getSubnetwork},
	}
}

func (s *Server) getProject(request) (any, error) {
	name := s.options.Project
	metadata := &compute.Metadata{Kind: "compute#metadata", Fingerprint: fingerprint(nil)}
	return &compute.Project{Kind: "compute#project", Id: numericID(name), Name: name, SelfLink: root + "projects/" + name, CreationTimestamp: birthday,
		CommonInstanceMetadata: metadata, DefaultNetworkTier: "PREMIUM", DefaultServiceAccount: s.account.Email}, nil
}

func (s *Server) zone() *compute.Zone {
	return &compute.Zone{Kind: "compute#zone", Id: numericID(s.options.Zone), Name: s.options.Zone, Description: s.options.Zone, Status: "UP",
		Region: root + s.regional(""), SelfLink: root + s.scope(), CreationTimestamp: birthday, AvailableCpuPlatforms: []string{"Intel Sapphire Rapids"}}
}

func (s *Server) regional(below string) string {
	return "projects/" + s.options.Project + "/regions/" + s.region() + below
}

func (s *Server) getZone(request) (any, error) { return s.zone(), nil }

func (s *Server) listZones(q request) (any, error) {
	here := pathOf(q.URL.Path)
	page, next, err := list(q, []*compute.Zone{s.zone()}, func(z *compute.Zone) (string, string) { return z.Name, z.CreationTimestamp })
	return &compute.ZoneList{Kind: "compute#zoneList", Id: here, SelfLink: root + here, Items: page, NextPageToken: next}, err
}

func (s *Server) getRegion(q request) (any, error) {
	return &compute.Region{Kind: "compute#region", Id: numericID(s.region()), Name: s.region(), Description: s.region(), Status: "UP",
		SelfLink: root + pathOf(q.URL.Path), CreationTimestamp: birthday, Zones: []string{root + s.scope()}}, nil
}

var machineForm = regexp.MustCompile(`^(c3|e2|n2|n2d)-(standard|highcpu|highmem)-([0-9]{1,3})$`)

// machine sizes of each series, in CPUs.
var sizes = map[string][]int{"c3": {4, 8, 22, 44, 88, 176}, "e2": {2, 4, 8, 16, 32},
	"n2": {2, 4, 8, 16, 32, 48, 64, 80}, "n2d": {2, 4, 8, 16, 32, 48, 64, 80, 96}}

// machineType gives the CPUs and the memory per CPU, in GiB, of a type that exists.
func machineType(name string) (cpus, gigabytes int, ok bool) {
	m := machineForm.FindStringSubmatch(name)
	if m == nil {
		return 0, 0, false
	}
	cpus, err := strconv.Atoi(m[3])
	gigabytes = map[string]int{"standard": 4, "highcpu": 2, "highmem": 8}[m[2]]
	return cpus, gigabytes, err == nil && slices.Contains(sizes[m[1]], cpus)
}

func (s *Server) getMachineType(q request) (any, error) {
	name, path := q.PathValue("machineType"), pathOf(q.URL.Path)
	cpus, gigabytes, ok := machineType(name)
	if !ok {
		return nil, notFound(path)
	}
	return &compute.MachineType{Kind: "compute#machineType", Id: numericID(name), Name: name, Zone: s.options.Zone, SelfLink: root + path,
		CreationTimestamp: birthday, GuestCpus: int64(cpus), MemoryMb: int64(cpus * gigabytes << 10), Architecture: "X86_64",
		MaximumPersistentDisks: 128, MaximumPersistentDisksSizeGb: 524288}, nil
}

func (s *Server) getNetwork(q request) (any, error) {
	path := pathOf(q.URL.Path)
	if q.PathValue("network") != "default" {
		return nil, notFound(path)
	}
	return &compute.Network{Kind: "compute#network", Id: numericID(path), Name: "default", SelfLink: root + path, CreationTimestamp: birthday,
		AutoCreateSubnetworks: true, Subnetworks: []string{root + s.regional("/subnetworks/default")}}, nil
}

func (s *Server) getSubnetwork(q request) (any, error) {
	path := pathOf(q.URL.Path)
	if q.PathValue("subnetwork") != "default" {
		return nil, notFound(path)
	}
	return &compute.Subnetwork{Kind: "compute#subnetwork", Id: numericID(path), Name: "default", SelfLink: root + path, CreationTimestamp: birthday,
		Region: root + s.regional(""), Network: root + s.network(), IpCidrRange: "127.0.0.0/8"}, nil
}

func (s *Server) network() string {
	return "projects/" + s.options.Project + "/global/networks/default"
}
