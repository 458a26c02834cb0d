package gce

import (
	"os"
	"time"

	compute "google.golang.org/api/compute/v1"
)

// instance is one VM.
type instance struct {
	resource   *compute.Instance
	creation   *operation        // nil when an earlier process made it
	made       []string          // disks that were made with it
	machine    Machine           // nil when nothing runs
	metadata   *metadataServer   // while it runs
	serial     *os.File          // while it runs
	limit      *time.Timer       // of maxRunDuration, while it runs
	attributes map[string]string // guest attributes by namespace/key
	refused    int               // writes of guest attributes that the fault Busy refused
}

func (s *Server) instanceCalls() []call {
	const instances = "/zones/{zone}/instances"
	const one = instances + "/{instance}"
	return []call{
		{"instances.get", "GET " + one, []string{"compute.instances.get"}, 0, s.getInstance},
		{"instances.list", "GET " + instances, []string{"compute.instances.list"}, 0, s.listInstances},
		{"instances.aggregatedList", "GET /aggregated/instances", []string{"compute.instances.list"}, 0, s.aggregateInstances},
		{"instances.insert", "POST " + instances, []string{"compute.instances.create", "compute.disks.create", "compute.instances.setMetadata",
			"compute.instances.setLabels", "compute.subnetworks.use"}, 0, s.insertInstance},
		{"instances.delete", "DELETE " + one, []string{"compute.instances.delete"}, 0, s.deleteInstance},
		{"instances.stop", "POST " + one + "/stop", []string{"compute.instances.stop"}, 0, s.stopInstance},
		{"instances.setMetadata", "POST " + one + "/setMetadata", []string{"compute.instances.setMetadata"}, 0, s.setMetadata},
		{"instances.getSerialPortOutput", "GET " + one + "/serialPort", []string{"compute.instances.getSerialPortOutput"}, 0, s.getSerialPort},
		{"instances.getGuestAttributes", "GET " + one + "/getGuestAttributes", []string{"compute.instances.getGuestAttributes"}, 0, s.getGuestAttributes},
		{"instances.testIamPermissions", "POST " + one + "/testIamPermissions", nil, 0, s.testPermissions},
	}
}

// find gives the instance that a request names.
func (s *Server) find(q request) (*instance, error) {
	in := s.instances[q.PathValue("instance")]
	if in == nil {
		return nil, notFound(s.zonal("instances", q.PathValue("instance")))
	}
	return in, nil
}

func (s *Server) getInstance(q request) (any, error) {
	in, err := s.find(q)
	if err != nil {
		return nil, err
	}
	if s.faults.hides(in.resource.SelfLink) {
		return nil, notFound(pathOf(in.resource.SelfLink))
	}
	return in.resource, nil
}

func (s *Server) pageOfInstances(q request) ([]*compute.Instance, string, error) {
	var all []*compute.Instance
	for _, in := range s.instances {
		all = append(all, in.resource)
	}
	return list(q, all, func(i *compute.Instance) (string, string) { return i.Name, i.CreationTimestamp })
}

func (s *Server) listInstances(q request) (any, error) {
	here := pathOf(q.URL.Path)
	page, next, err := s.pageOfInstances(q)
	return &compute.InstanceList{Kind: "compute#instanceList", Id: here, SelfLink: root + here, Items: page, NextPageToken: next}, err
}

func (s *Server) aggregateInstances(q request) (any, error) {
	here, scope := pathOf(q.URL.Path), "zones/"+s.options.Zone
	page, next, err := s.pageOfInstances(q)
	in := compute.InstancesScopedList{Instances: page}
	if len(page) == 0 {
		in.Warning = &compute.InstancesScopedListWarning{Code: "NO_RESULTS_ON_PAGE", Message: noResults(scope),
			Data: []*compute.InstancesScopedListWarningData{{Key: "scope", Value: scope}}}
	}
	return &compute.InstanceAggregatedList{Kind: "compute#instanceAggregatedList", Id: here, SelfLink: root + here,
		Items: map[string]compute.InstancesScopedList{scope: in}, NextPageToken: next}, err
}

// locked does a part of a job with mu held.
func (s *Server) locked(work func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return work()
}
