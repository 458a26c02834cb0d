package gce

import (
	"context"

	compute "google.golang.org/api/compute/v1"
)

func (s *Server) diskCalls() []call {
	const disks = "/zones/{zone}/disks"
	return []call{
		{"disks.get", "GET " + disks + "/{disk}", []string{"compute.disks.get"}, 0, s.getDisk},
		{"disks.list", "GET " + disks, []string{"compute.disks.list"}, 0, s.listDisks},
		{"disks.aggregatedList", "GET /aggregated/disks", []string{"compute.disks.list"}, 0, s.aggregateDisks},
		{"disks.insert", "POST " + disks, []string{"compute.disks.create"}, 0, s.insertDisk},
		{"disks.delete", "DELETE " + disks + "/{disk}", []string{"compute.disks.delete"}, 0, s.deleteDisk},
	}
}

func (s *Server) disk(q request) (*compute.Disk, error) {
	disk := s.disks[q.PathValue("disk")]
	if disk == nil {
		return nil, notFound(s.zonal("disks", q.PathValue("disk")))
	}
	return disk, nil
}

func (s *Server) getDisk(q request) (any, error) {
	disk, err := s.disk(q)
	if err == nil && s.faults.hides(disk.SelfLink) {
		err = notFound(pathOf(disk.SelfLink))
	}
	return disk, err
}

func (s *Server) pageOfDisks(q request) ([]*compute.Disk, string, error) {
	var all []*compute.Disk
	for _, disk := range s.disks {
		all = append(all, disk)
	}
	return list(q, all, func(d *compute.Disk) (string, string) { return d.Name, d.CreationTimestamp })
}

func (s *Server) aggregateDisks(q request) (any, error) {
	here, scope := pathOf(q.URL.Path), "zones/"+s.options.Zone
	page, next, err := s.pageOfDisks(q)
	in := compute.DisksScopedList{Disks: page}
	if len(page) == 0 {
		in.Warning = &compute.DisksScopedListWarning{Code: "NO_RESULTS_ON_PAGE", Message: noResults(scope),
			Data: []*compute.DisksScopedListWarningData{{Key: "scope", Value: scope}}}
	}
	return &compute.DiskAggregatedList{Kind: "compute#diskAggregatedList", Id: here, SelfLink: root + here,
		Items: map[string]compute.DisksScopedList{scope: in}, NextPageToken: next}, err
}

func (s *Server) listDisks(q request) (any, error) {
	here := pathOf(q.URL.Path)
	page, next, err := s.pageOfDisks(q)
	return &compute.DiskList{Kind: "compute#diskList", Id: here, SelfLink: root + here, Items: page, NextPageToken: next}, err
}

func (s *Server) insertDisk(q request) (any, error) {
	disk := &compute.Disk{}
	if err := q.decode(disk); err != nil {
		return nil, err
	}
	if from := q.URL.Query().Get("sourceImage"); from != "" {
		disk.SourceImage = from
	}
	disk.Users = nil
	if err := s.describeDisk(disk); err != nil {
		return nil, err
	}
	if err := s.addDisk(disk); err != nil {
		return nil, err
	}
	j := job{do: func(ctx context.Context) error { return s.fill(ctx, disk) }, undo: func() { _ = s.dropDisk(disk) }}
	return s.begin(q, pathOf(disk.SelfLink), disk.Id, j).resource, nil
}
