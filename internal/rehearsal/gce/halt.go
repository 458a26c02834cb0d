package gce

import (
	"errors"
)

func stop(m Machine) error {
	if m == nil {
		return nil
	}
	return m.Stop()
}

// watch notices a machine that ends by itself.
func (s *Server) watch(in *instance, m Machine) {
	<-m.Done()
	s.mu.Lock()
	ended := in.machine == m && in.resource.Status == "RUNNING"
	if ended {
		_ = s.terminated(in) // the state in memory is what counts while this process lives
	}
	s.mu.Unlock()
	if ended {
		_ = s.halt(in) // there is nobody to tell
	}
}

// expire does what scheduling says happens when maxRunDuration is over.
func (s *Server) expire(in *instance, m Machine) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || in.machine != m || in.resource.Status != "RUNNING" {
		return
	}
	if in.resource.Scheduling.InstanceTerminationAction == "DELETE" {
		s.start("instances.delete", pathOf(in.resource.SelfLink), in.resource.Id, s.deletion(in))
		return
	}
	s.start("instances.stop", pathOf(in.resource.SelfLink), in.resource.Id, s.stopping(in))
}

// halt stops what runs of the instance and leaves its status alone.
func (s *Server) halt(in *instance) error {
	s.mu.Lock()
	m, metadata, serial, limit := in.machine, in.metadata, in.serial, in.limit
	in.machine, in.metadata, in.serial, in.limit = nil, nil, nil, nil
	s.mu.Unlock()
	var errs []error
	if limit != nil {
		limit.Stop()
	}
	errs = append(errs, stop(m))
	if metadata != nil {
		errs = append(errs, metadata.close())
	}
	if serial != nil {
		errs = append(errs, serial.Close())
	}
	return errors.Join(errs...)
}

// terminated writes down that nothing runs any more. Call it with mu held.
func (s *Server) terminated(in *instance) error {
	in.resource.Status, in.resource.LastStopTimestamp = "TERMINATED", s.stamp()
	for _, nic := range in.resource.NetworkInterfaces {
		for _, access := range nic.AccessConfigs {
			access.NatIP = "" // an ephemeral address is given back
		}
	}
	return s.saveInstance(in)
}
