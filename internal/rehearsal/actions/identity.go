package actions

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"
)

// IdentityHost answers jobs that ask for their identity; see Service.ServeHTTP.
const IdentityHost = "pipelines.actions.githubusercontent.com"

// ServeHTTP is the place behind ACTIONS_ID_TOKEN_REQUEST_URL. It knows a job by the bearer that the job was given.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	scheme, bearer, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	s.mu.Lock()
	j := s.bearers[bearer]
	s.mu.Unlock()
	if j == nil || !strings.EqualFold(scheme, "bearer") {
		http.Error(w, `{"message":"unauthorized"}`, http.StatusUnauthorized)
		return
	}
	token, err := s.o.Identity(r.Context(), Claims{Repository: s.o.Repository, Workflow: j.run.file,
		Ref: "refs/tags/" + j.run.Tag, SHA: j.run.Commit}, r.URL.Query().Get("audience"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"count": len(token), "value": token}) // the job has gone
}

// identify gives a job the bearer by which it is known, for as long as it runs.
func (s *Service) identify(j *Job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j.bearer = rand.Text()
	s.bearers[j.bearer] = j
}

func (s *Service) forget(j *Job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.bearers, j.bearer)
	j.bearer = ""
}
