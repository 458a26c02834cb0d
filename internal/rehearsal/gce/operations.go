package gce

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"

	"github.com/calimero-network/mero-tee/internal/base/retry"
)

// latency is how long operations.get looks for the end: an answer takes as long
// in production, and a client that polls every two seconds, as Packer does, is
// spared the two seconds after what takes none.
const latency = 250 * time.Millisecond

// operation is a long-running one. It lives as long as the process.
type operation struct {
	*computepb.Operation // guarded by Server.mu
	done                 chan struct{}
}

// job is what an operation does. It runs without mu.
type job struct {
	do   func(ctx context.Context) error
	undo func() // with mu held, when do failed or never ran
}

func (s *Server) operationCalls() []call {
	return []call{
		{"zoneOperations.get", "GET /zones/{zone}/operations/{operation}", s.getOperation},
		{"globalOperations.get", "GET /global/operations/{operation}", s.getOperation},
	}
}

var requestForm = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// requestKey tells requests apart that carry a requestId; "" when this one does not.
func requestKey(q request) string {
	if id := q.URL.Query().Get("requestId"); id != "" {
		return q.call.name + " " + q.URL.Path + " " + strings.ToLower(id)
	}
	return ""
}

// repeated finds the operation of a request that came before; nil when none did.
func (s *Server) repeated(q request) (*operation, error) {
	id := q.URL.Query().Get("requestId")
	if id != "" && (!requestForm.MatchString(id) || strings.Trim(id, "0-") == "") {
		return nil, invalid("requestId", id, "The request ID must be a valid UUID.")
	}
	return s.requests[requestKey(q)], nil
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
	case <-time.After(latency):
	case <-q.Context().Done():
	case <-s.ctx.Done():
	}
}

func (s *Server) getOperation(q request) (any, error) {
	path := pathOf(q.URL.Path)
	op := s.operations[q.PathValue("operation")]
	if op == nil || pathOf(op.GetSelfLink()) != path {
		return nil, notFound(path)
	}
	return op, nil
}

// begin starts the operation of a call on a resource.
func (s *Server) begin(q request, target resource, j job) *operation {
	op := s.start(q.call.name, target, j)
	if key := requestKey(q); key != "" {
		s.requests[key] = op
	}
	return op
}

// start is begin for what nobody asked for. Call it with mu held.
func (s *Server) start(call string, target resource, j job) *operation {
	op := s.newOperation(call, target)
	s.operations[op.GetName()] = op
	s.running.Go(func() { s.run(op, call, j) })
	return op
}

func (s *Server) newOperation(call string, target resource) *operation {
	_, kind, _ := strings.Cut(call, ".")
	name := fmt.Sprintf("operation-%d-%x", s.options.Now().UnixMilli(), newID())
	o := &computepb.Operation{Kind: new("compute#operation"), Id: new(newID()), Name: &name, OperationType: &kind,
		Status: computepb.Operation_PENDING.Enum(), Progress: new(int32(0)), User: &s.account.email,
		InsertTime: new(s.stamp()), TargetId: new(target.GetId()), TargetLink: new(target.GetSelfLink())}
	scope := "projects/" + project(pathOf(target.GetSelfLink())) + "/global"
	if strings.Contains(target.GetSelfLink(), "/zones/") {
		scope = s.scope()
		o.Zone = new(root + scope)
	}
	o.SelfLink = new(root + scope + "/operations/" + name)
	return &operation{o, make(chan struct{})}
}

// run leads an operation from PENDING to DONE. When the server closes, what was
// begun is left as it is, as a kill would.
func (s *Server) run(op *operation, call string, j job) {
	defer close(op.done)
	s.mu.Lock()
	op.Status, op.StartTime, op.Progress = computepb.Operation_RUNNING.Enum(), new(s.stamp()), new(int32(10))
	slow := s.faults.Slow[call]
	code, fails := s.faults.failure(call)
	s.mu.Unlock()
	err := retry.For(s.ctx, slow)
	if err == nil && fails {
		err = s.failure(code, op.GetTargetLink())
	} else if err == nil {
		err = j.do(s.ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && j.undo != nil && !s.closed {
		j.undo()
	}
	op.end(err)
	op.EndTime = new(s.stamp())
}

// end takes what the rehearsal itself could not do as an internal error.
func (o *operation) end(err error) {
	o.Status, o.Progress = computepb.Operation_DONE.Enum(), new(int32(100))
	if err == nil {
		return
	}
	var f *failure
	if !errors.As(err, &f) {
		f = &failure{http.StatusInternalServerError, "INTERNAL_ERROR", strings.ToValidUTF8(err.Error(), "\uFFFD")}
	}
	o.Error = &computepb.Error{Errors: []*computepb.Errors{{Code: &f.code, Message: &f.message}}}
	o.HttpErrorStatusCode, o.HttpErrorMessage = &f.status, new(strings.ToUpper(http.StatusText(int(f.status))))
}

// failure is the error of an operation.
type failure struct {
	status        int32
	code, message string
}

func (f *failure) Error() string { return f.message }

// failure is the error that the vendor gives with a code.
func (s *Server) failure(code, target string) *failure {
	f := &failure{http.StatusInternalServerError, code, "Internal error. Please try again or contact Google Support."}
	switch code {
	case "QUOTA_EXCEEDED":
		f.status, f.message = http.StatusForbidden, fmt.Sprintf("Quota 'C3_CPUS' exceeded.  Limit: 4.0 in region %s.",
			s.region())
	case "ZONE_RESOURCE_POOL_EXHAUSTED":
		f.status = http.StatusServiceUnavailable
		f.message = fmt.Sprintf("The zone '%s' does not have enough resources available to fulfill the request.  "+
			"Try a different zone, or try again later.", s.scope())
	case "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS":
		f.status = http.StatusServiceUnavailable
		f.message = fmt.Sprintf("The zone '%s' does not have enough resources available to fulfill the request.  "+
			"'(resource type:compute)'.", s.scope())
	case "RESOURCE_NOT_FOUND":
		f.status, f.message = http.StatusNotFound, fmt.Sprintf("The resource '%s' was not found", pathOf(target))
	case "RESOURCE_NOT_READY":
		f.status, f.message = http.StatusBadRequest, fmt.Sprintf("The resource '%s' is not ready", pathOf(target))
	}
	return f
}

// change is the operation of one step on a resource that is still there.
func (s *Server) change(q request, target resource, step func() error) *operation {
	return s.begin(q, target, job{do: func(context.Context) error {
		return s.locked(func() error {
			if err := s.present(target); err != nil {
				return err
			}
			return step()
		})
	}})
}

// present says so when a resource was deleted since the call. Call it with mu held.
func (s *Server) present(target resource) error {
	if s.resources[pathOf(target.GetSelfLink())] != target {
		return s.failure("RESOURCE_NOT_FOUND", target.GetSelfLink())
	}
	return nil
}
