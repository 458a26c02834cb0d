package github

import (
	"crypto/subtle"
	"net/http"
	"strings"
)

// caller is who asks.
type caller int

const (
	anonymous caller = iota
	owner            // may write and sees drafts
	impostor         // sent a token that is not ours
)

func (s *Server) caller(r *http.Request) caller {
	sent := r.Header.Get("Authorization")
	if sent == "" {
		return anonymous
	}
	for _, scheme := range []string{"token ", "Bearer "} {
		if got, ok := strings.CutPrefix(sent, scheme); ok && subtle.ConstantTimeCompare([]byte(got), []byte(s.token)) == 1 {
			return owner
		}
	}
	return impostor
}

// admit answers those who may not go on and says whether the caller may.
func (s *Server) admit(w http.ResponseWriter, r *http.Request) bool {
	who := s.caller(r)
	switch {
	case who == impostor:
		write(w, fail(http.StatusUnauthorized, "Bad credentials"))
	case r.PathValue("owner")+"/"+r.PathValue("repo") != s.repository:
		write(w, missing)
	case who == anonymous && r.Method != http.MethodGet && r.Method != http.MethodHead:
		write(w, fail(http.StatusUnauthorized, "Requires authentication"))
	default:
		return true
	}
	return false
}
