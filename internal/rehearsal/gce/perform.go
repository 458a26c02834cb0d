package gce

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	compute "google.golang.org/api/compute/v1"

	"github.com/calimero-network/mero-tee/internal/base/retry"
)

// job is what an operation does. It runs without mu.
type job struct {
	do   func(ctx context.Context) error
	undo func() // with mu held, when do failed or never ran
}

// begin starts the operation of a call on target.
func (s *Server) begin(q request, target string, id uint64, j job) *operation {
	op := s.start(q.call.name, target, id, j)
	if key := requestKey(q); key != "" {
		s.requests[key] = op
	}
	return op
}

// start is begin for what nobody asked for. Call it with mu held.
func (s *Server) start(call, target string, id uint64, j job) *operation {
	op := &operation{resource: s.newOperation(call, target, id), done: make(chan struct{})}
	s.operations[op.resource.Name] = op
	s.running.Go(func() { s.perform(op, call, j) })
	return op
}

func (s *Server) newOperation(call, target string, id uint64) *compute.Operation {
	_, kind, _ := strings.Cut(call, ".")
	name := fmt.Sprintf("operation-%d-%x", s.options.Now().UnixMilli(), newID())
	o := &compute.Operation{Kind: "compute#operation", Id: newID(), Name: name, OperationType: kind, Status: "PENDING", User: s.account.Email,
		InsertTime: s.stamp(), TargetId: id, TargetLink: root + target, ForceSendFields: []string{"Progress"}}
	scope := "projects/" + project(target) + "/global"
	if strings.Contains(target, "/zones/") {
		scope = s.scope()
		o.Zone = root + scope
	}
	o.SelfLink = root + scope + "/operations/" + name
	return o
}

// perform leads an operation from PENDING to DONE. When the server closes, what
// was begun is left as it is, as a kill would.
func (s *Server) perform(op *operation, call string, j job) {
	defer close(op.done)
	s.mu.Lock()
	op.resource.Status, op.resource.StartTime, op.resource.Progress = "RUNNING", s.stamp(), 10
	slow := s.faults.Slow[call]
	code, fails := s.faults.failure(call)
	s.mu.Unlock()
	err := retry.For(s.ctx, slow)
	if err == nil && fails {
		err = s.known(code, op.resource.TargetLink)
	} else if err == nil {
		err = j.do(s.ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && j.undo != nil && !s.closed {
		j.undo()
	}
	s.end(op.resource, err)
}

func (s *Server) end(o *compute.Operation, err error) {
	o.Status, o.Progress, o.EndTime = "DONE", 100, s.stamp()
	if err == nil {
		return
	}
	f := asFailed(err)
	o.Error = &compute.OperationError{Errors: []*compute.OperationErrorErrors{{Code: f.code, Message: f.message}}}
	o.HttpErrorStatusCode, o.HttpErrorMessage = int64(f.status), strings.ToUpper(http.StatusText(f.status))
}
