package github

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

const maxRequest = 4 << 20 // bytes of a JSON request

// answer is what a handler says; body is rendered as JSON unless nil.
type answer struct {
	status   int
	body     any
	link     string // the Link header of a page
	location string
}

// handler reads and changes the state; what it changed is kept when its answer is a success.
type handler func(r *http.Request, st *state) answer

func (s *Server) api(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.admit(w, r) {
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
		write(w, s.transact(func(st *state) answer { return h(r, st) }, r.Method != http.MethodGet))
	})
}

// transact runs h between reading and writing state.json.
func (s *Server) transact(h func(*state) answer, writes bool) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.load()
	if err != nil {
		return fail(http.StatusInternalServerError, err.Error())
	}
	a := h(st)
	if !writes || a.status >= http.StatusBadRequest {
		return a
	}
	if err := s.save(st); err != nil {
		return fail(http.StatusInternalServerError, err.Error())
	}
	return a
}

func write(w http.ResponseWriter, a answer) {
	if a.link != "" {
		w.Header().Set("Link", a.link)
	}
	if a.location != "" {
		w.Header().Set("Location", a.location)
	}
	if a.body == nil {
		w.WriteHeader(a.status)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(a.status)
	_ = json.NewEncoder(w).Encode(a.body) // the client has gone; nothing to do
}

func ok(body any) answer      { return answer{status: http.StatusOK, body: body} }
func created(body any) answer { return answer{status: http.StatusCreated, body: body} }

const documentation = "https://docs.github.com/rest"

var missing = fail(http.StatusNotFound, "Not Found")

func fail(status int, message string) answer {
	return answer{status: status, body: map[string]any{"message": message, "documentation_url": documentation, "status": strconv.Itoa(status)}}
}

// invalid is GitHub's 422 with one entry; code "custom" carries a message.
func invalid(resource, field, code, message string) answer {
	entry := map[string]any{"resource": resource, "field": field, "code": code}
	if message != "" {
		entry["message"] = message
	}
	return answer{status: http.StatusUnprocessableEntity, body: map[string]any{"message": "Validation Failed", "errors": []any{entry},
		"documentation_url": documentation, "status": "422"}}
}

// decode reads a JSON request; the answer is nil when it is well formed.
func decode(r *http.Request, into any) *answer {
	err := json.NewDecoder(r.Body).Decode(into)
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong):
		a := fail(http.StatusUnprocessableEntity, fmt.Sprintf("Invalid request.\n\nFor 'properties/%s', %s is not a %s.", wrong.Field, wrong.Value, wrong.Type))
		return &a
	}
	a := fail(http.StatusBadRequest, "Problems parsing JSON")
	return &a
}

// page cuts a list as ?per_page and ?page say and links the next one.
func page(r *http.Request, all []any) answer {
	query := r.URL.Query()
	size, err := strconv.Atoi(query.Get("per_page"))
	if err != nil || size < 1 {
		size = 30
	}
	size = min(size, 100)
	number, err := strconv.Atoi(query.Get("page"))
	if err != nil || number < 1 || number > len(all)+1 {
		number = 1
	}
	from, to := min((number-1)*size, len(all)), min(number*size, len(all))
	a := ok(append([]any{}, all[from:to]...))
	if to < len(all) {
		query.Set("page", strconv.Itoa(number+1))
		a.link = fmt.Sprintf(`<https://%s%s?%s>; rel="next"`, apiHost, r.URL.EscapedPath(), query.Encode())
	}
	return a
}
