package gce

import (
	"context"
	"slices"

	compute "google.golang.org/api/compute/v1"
)

func (s *Server) deleteDisk(q request) (any, error) {
	disk, err := s.disk(q)
	if err != nil {
		return nil, err
	}
	path := pathOf(disk.SelfLink)
	if err := s.busy(disk); err != nil {
		return nil, err
	}
	return s.begin(q, path, disk.Id, job{do: func(context.Context) error {
		if err := s.locked(func() error { return s.deletable(disk) }); err != nil {
			return err
		}
		if err := s.erase(disk); err != nil {
			return err
		}
		return s.locked(func() error { return s.dropDisk(disk) })
	}}).resource, nil
}

// deletable checks again what may have changed since the call.
func (s *Server) deletable(disk *compute.Disk) error {
	if s.disks[disk.Name] != disk {
		return s.known("RESOURCE_NOT_FOUND", disk.SelfLink)
	}
	if s.busy(disk) != nil {
		return s.known("RESOURCE_NOT_READY", disk.SelfLink)
	}
	return nil
}

// erase deletes what the disk holds, which takes time, without mu. From then on
// it is good for deletion only.
func (s *Server) erase(disk *compute.Disk) error {
	s.mu.Lock()
	disk.Status = "DELETING"
	err := s.saveDisk(disk)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.wipe(s.file("disks", disk.Name, ""))
}

// busy says who needs the disk: an instance, or an image that is being made of it.
func (s *Server) busy(disk *compute.Disk) error {
	path := pathOf(disk.SelfLink)
	if len(disk.Users) > 0 {
		return inUse("disk", path, pathOf(disk.Users[0]))
	}
	if disk.Status == "CREATING" {
		return notReady(path)
	}
	for _, image := range s.images {
		if image.Status == "PENDING" && image.SourceDisk == disk.SelfLink {
			return inUse("disk", path, pathOf(image.SelfLink))
		}
	}
	return nil
}

// dropDisk forgets a disk. Call it with mu held.
func (s *Server) dropDisk(disk *compute.Disk) error {
	if err := s.wipe(s.file("disks", disk.Name, "")); err != nil {
		return err
	}
	delete(s.disks, disk.Name)
	return remove(s.file("disks", disk.Name, ".json"))
}

// detach takes an instance off a disk's users.
func (s *Server) detach(disk *compute.Disk, user string) error {
	disk.Users = slices.DeleteFunc(disk.Users, func(u string) bool { return u == user })
	disk.LastDetachTimestamp = s.stamp()
	return s.saveDisk(disk)
}
