package gce

import (
	"regexp"
	"strings"
	"time"

	compute "google.golang.org/api/compute/v1"
)

const (
	// latency is how long operations.get looks for the end: an answer takes as
	// long in production, and a client that polls every two seconds, as Packer
	// does, is spared the two seconds after what takes none.
	latency = 250 * time.Millisecond
	// patience is operations.wait's: "This method waits for no more than the 2 minutes".
	patience = 2 * time.Minute
)

// operation is a long-running one. It lives as long as the process.
type operation struct {
	resource *compute.Operation // guarded by Server.mu
	done     chan struct{}
}

func (s *Server) operationCalls() []call {
	var all []call
	for kind, scope := range map[string]string{"zone": "/zones/{zone}", "global": "/global"} {
		needs := []string{"compute." + kind + "Operations.get"}
		all = append(all,
			call{kind + "Operations.get", "GET " + scope + "/operations/{operation}", needs, latency, s.getOperation},
			call{kind + "Operations.wait", "POST " + scope + "/operations/{operation}/wait", needs, patience, s.getOperation},
			call{kind + "Operations.list", "GET " + scope + "/operations", []string{"compute." + kind + "Operations.list"}, 0, s.listOperations})
	}
	return all
}

var requestForm = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// requestKey tells requests apart that carry a requestId; "" when this one does not.
func requestKey(q request) string {
	if id := q.URL.Query().Get("requestId"); id != "" {
		return q.call.name + " " + q.URL.Path + " " + strings.ToLower(id)
	}
	return ""
}

// repeated finds the operation of a request that came before.
func (s *Server) repeated(q request) (*compute.Operation, bool, error) {
	id := q.URL.Query().Get("requestId")
	if id == "" {
		return nil, false, nil
	}
	if !requestForm.MatchString(id) || strings.Trim(id, "0-") == "" {
		return nil, false, invalid("requestId", id, "The request ID must be a valid UUID.")
	}
	if op := s.requests[requestKey(q)]; op != nil {
		return op.resource, true, nil
	}
	return nil, false, nil
}

// await waits, without mu, until the operation asked for is done or its time is up.
func (s *Server) await(q request) {
	s.mu.Lock()
	op := s.operations[q.PathValue("operation")]
	s.mu.Unlock()
	if op == nil {
		return
	}
	select {
	case <-op.done:
	case <-time.After(q.call.patient):
	case <-q.Context().Done():
	case <-s.ctx.Done():
	}
}

func (s *Server) getOperation(q request) (any, error) {
	path := strings.TrimSuffix(pathOf(q.URL.Path), "/wait")
	op := s.operations[q.PathValue("operation")]
	if op == nil || pathOf(op.resource.SelfLink) != path {
		return nil, notFound(path)
	}
	return op.resource, nil
}

func (s *Server) listOperations(q request) (any, error) {
	here := pathOf(q.URL.Path)
	var all []*compute.Operation
	for _, op := range s.operations {
		if strings.HasPrefix(pathOf(op.resource.SelfLink), here+"/") {
			all = append(all, op.resource)
		}
	}
	page, next, err := list(q, all, func(o *compute.Operation) (string, string) { return o.Name, o.InsertTime })
	return &compute.OperationList{Kind: "compute#operationList", Id: here, SelfLink: root + here, Items: page, NextPageToken: next}, err
}
