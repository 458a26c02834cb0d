package gce

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Faults are what goes wrong. Calls are named as in the vendor's description, such as
// "instances.insert".
type Faults struct {
	Denied   []string                 // permissions that the caller lacks
	Hidden   int                      // this many reads of each new resource answer 404
	Refusals []Refusal                // calls that are answered with an error
	Slow     map[string]time.Duration // by call: what its operation takes on top
	Failures []Failure                // calls whose operation ends in an error
	Silent   bool                     // instances are RUNNING and nothing runs in them
	Busy     int                      // this many writes of each instance's guest attributes answer 429
	Reads    Distortion               // what getGuestAttributes makes of what was written
}

// Refusal answers the first Times calls with a status such as 409, 429 or 503.
type Refusal struct {
	Call       string
	Times      int
	Status     int
	RetryAfter time.Duration
	After      bool   // the call is carried out, only its answer is lost
	Reason     string // such as quotaExceeded; "" is the one that the status usually has
}

// Failure ends the operations of the first Times calls with a code such as
// QUOTA_EXCEEDED, ZONE_RESOURCE_POOL_EXHAUSTED or INTERNAL_ERROR.
type Failure struct {
	Call  string
	Times int
	Code  string
}

// Distortion is a fault of reading guest attributes.
type Distortion int

// What a reader of guest attributes sees.
const (
	Intact    Distortion = iota
	Absent               // nothing was ever written
	Truncated            // the first half of each value
	Oversized            // each value followed by 8 MiB of noise
)

// SetFaults replaces the faults; what counts begins anew.
func (s *Server) SetFaults(f Faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = newFaults(f)
}

// faults counts what has happened; mu guards it.
type faults struct {
	Faults
	refused, failed map[int]int    // by index
	hidden          map[string]int // reads by path
}

func newFaults(f Faults) faults {
	return faults{Faults: f, refused: map[int]int{}, failed: map[int]int{}, hidden: map[string]int{}}
}

var reasons = map[int]string{http.StatusConflict: "conflict", http.StatusTooManyRequests: "rateLimitExceeded",
	http.StatusForbidden: "rateLimitExceeded", http.StatusBadRequest: "resourceInUseByAnotherResource"}

func (f *faults) refusal(call string) (fault error, after bool) {
	for i, r := range f.Refusals {
		if r.Call != call || f.refused[i] >= r.Times {
			continue
		}
		f.refused[i]++
		reason := cmp.Or(r.Reason, reasons[r.Status], "backendError")
		return &refusal{r.Status, reason, http.StatusText(r.Status), r.RetryAfter}, r.After
	}
	return nil, false
}

func (f *faults) failure(call string) (code string, fails bool) {
	for i, e := range f.Failures {
		if e.Call == call && f.failed[i] < e.Times {
			f.failed[i]++
			return e.Code, true
		}
	}
	return "", false
}

// hides says whether this read of a new resource comes too early.
func (f *faults) hides(path string) bool {
	if f.hidden[path] >= f.Hidden {
		return false
	}
	f.hidden[path]++
	return true
}

func (f *faults) denies(permission string) bool { return slices.Contains(f.Denied, permission) }

// distort is what a reader sees of a value.
func (f *faults) distort(value string) string {
	switch f.Reads {
	case Truncated:
		return value[:len(value)/2]
	case Oversized:
		return value + strings.Repeat("A", 8<<20)
	}
	return value
}
