package registry

import (
	"net/http"
	"sync"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/retry"
)

// faults makes the registry misbehave on demand.
type faults struct {
	mu     sync.Mutex
	times  int
	status int
	delay  time.Duration
}

// Fail answers the next times requests with status, for example 503.
func (r *Registry) Fail(times, status int) {
	r.faults.mu.Lock()
	defer r.faults.mu.Unlock()
	r.faults.times, r.faults.status = times, status
}

// Slow delays every answer from now on; zero ends it.
func (r *Registry) Slow(delay time.Duration) {
	r.faults.mu.Lock()
	defer r.faults.mu.Unlock()
	r.faults.delay = delay
}

// strike is true when the request was answered, or its client gave up.
func (f *faults) strike(w http.ResponseWriter, req *http.Request) bool {
	f.mu.Lock()
	fail, status, delay := f.times > 0, f.status, f.delay
	if fail {
		f.times--
	}
	f.mu.Unlock()
	if delay > 0 && retry.For(req.Context(), delay) != nil {
		return true
	}
	if fail {
		refuse(w, status, "UNAVAILABLE", "try again later")
	}
	return fail
}
