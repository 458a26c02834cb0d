package github

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"strconv"
)

// signed is an address in the object store; whoever has it may read the asset,
// a draft's too, as with GitHub's pre-signed addresses.
func (s *Server) signed(a *asset) string {
	id := strconv.FormatInt(a.ID, 10)
	return fmt.Sprintf("https://%s/github-production-release-asset/%s?sig=%s", storageHost, id, s.signature(id))
}

func (s *Server) signature(id string) string {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(id))
	return hex.EncodeToString(mac.Sum(nil))
}

// browserDownload serves public releases to anyone, by name.
func (s *Server) browserDownload(w http.ResponseWriter, r *http.Request) {
	if !s.admit(w, r) {
		return
	}
	write(w, s.transact(func(st *state) answer {
		rel := st.public(r.PathValue("tag"))
		if rel == nil {
			return missing
		}
		for _, a := range rel.Assets {
			if a.Name == r.PathValue("name") && a.State == "uploaded" && s.showAsset(rel, a) != nil {
				return answer{status: http.StatusFound, location: s.signed(a)}
			}
		}
		return missing
	}, false))
}

// store is the object store. Like the real one it refuses a request that is
// signed and carries a token too.
func (s *Server) store(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	switch {
	case r.Header.Get("Authorization") != "":
		http.Error(w, "Only one auth mechanism allowed", http.StatusBadRequest)
		return
	case !hmac.Equal([]byte(r.URL.Query().Get("sig")), []byte(s.signature(id))):
		http.Error(w, "Signature did not match", http.StatusForbidden)
		return
	}
	f, a, err := s.opened(id)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer f.Close() //nolint:errcheck // read-only
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", a.ContentType)
	http.ServeContent(w, r, "", info.ModTime(), f)
}

func (s *Server) opened(id string) (*os.File, *asset, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.load()
	if err != nil {
		return nil, nil, err
	}
	rel, a := s.asset(st, id, owner)
	if rel == nil {
		return nil, nil, os.ErrNotExist
	}
	f, err := os.Open(s.file(rel, a))
	return f, a, err
}
