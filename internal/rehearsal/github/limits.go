package github

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// hourly is how many requests each kind of token has in an hour. A job's token
// shares them with every other job of the repository, a person's with their others.
func hourly(k kind) int {
	switch k {
	case job:
		return 1000
	case fineGrained, classic:
		return 5000
	}
	return 60
}

// quota is what was used of an hour's requests.
type quota struct {
	used  int
	reset time.Time
}

// spend counts a request and says whether it may go on; the headers say what is left.
func (s *Server) spend(w http.ResponseWriter, a asker) bool {
	limit := hourly(a.Kind)
	if s.perHour > 0 {
		limit = s.perHour
	}
	used, reset := s.count(a.Kind)
	h := w.Header()
	h.Set("Date", s.now().UTC().Format(http.TimeFormat))
	h.Set("X-RateLimit-Resource", "core")
	h.Set("X-RateLimit-Limit", strconv.Itoa(limit))
	h.Set("X-RateLimit-Used", strconv.Itoa(min(used, limit)))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(max(0, limit-used)))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(reset.Unix(), 10))
	if used <= limit {
		return true
	}
	whose := map[kind]string{job: "installation ID 1", fineGrained: "user ID 1", classic: "user ID 1"}[a.Kind]
	if whose == "" {
		whose = "127.0.0.1"
	}
	write(w, fail(http.StatusForbidden, fmt.Sprintf("API rate limit exceeded for %s.", whose)))
	return false
}

// count counts one more request of the hour.
func (s *Server) count(k kind) (used int, reset time.Time) {
	if k == fineGrained {
		k = classic // both are the owner's
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.quotas[k]
	if q == nil || !s.now().Before(q.reset) {
		q = &quota{reset: s.now().Add(time.Hour)}
		s.quotas[k] = q
	}
	q.used++
	return q.used, q.reset
}

// NextHour begins a new hour for every token, as what follows in a rehearsal may
// be days later, and gives the requests that jobs' tokens made in the last one.
func (s *Server) NextHour() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	used := 0
	if q := s.quotas[job]; q != nil {
		used = q.used
	}
	clear(s.quotas)
	return used
}
