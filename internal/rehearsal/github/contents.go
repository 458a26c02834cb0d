package github

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
)

func blobID(content []byte) string { return id(fmt.Sprintf("blob %d", len(content)), string(content)) }

func (s *Server) getContent(r *http.Request, st *state) answer {
	at, known := st.commitish(r.URL.Query().Get("ref"))
	if !known {
		return fail(http.StatusNotFound, "No commit found for the ref "+r.URL.Query().Get("ref"))
	}
	path := r.PathValue("path")
	content, there := st.Commits[at.SHA].Files[path]
	if !there {
		return missing
	}
	return ok(s.showContent(path, r.URL.Query().Get("ref"), content))
}

// putContent makes one commit on a branch. It demands the id of the blob it
// replaces, as GitHub does.
func (s *Server) putContent(r *http.Request, st *state) answer {
	var in struct{ Message, Content, SHA, Branch string }
	if bad := decode(r, &in); bad != nil {
		return *bad
	}
	path := r.PathValue("path")
	content, err := base64.StdEncoding.DecodeString(in.Content)
	if err != nil || in.Message == "" {
		return fail(http.StatusUnprocessableEntity, "Invalid request.\n\nmessage and Base64 content are needed")
	}
	head, known := st.Refs["refs/heads/"+in.Branch]
	if !known {
		return fail(http.StatusNotFound, "Branch "+in.Branch+" not found")
	}
	old, replaces := st.Commits[head.SHA].Files[path]
	switch {
	case replaces && in.SHA == "":
		return fail(http.StatusUnprocessableEntity, "Invalid request.\n\n\"sha\" wasn't supplied.")
	case replaces && in.SHA != blobID(old):
		return fail(http.StatusConflict, path+" does not match "+in.SHA)
	}
	files := map[string][]byte{}
	maps.Copy(files, st.Commits[head.SHA].Files)
	files[path] = content
	made := commit{Parent: head.SHA, Message: in.Message, Files: files}
	sha := id("commit", head.SHA, in.Message, path, blobID(content))
	st.Commits[sha] = made
	st.Refs["refs/heads/"+in.Branch] = object{"commit", sha}
	a := created(map[string]any{"content": s.showContent(path, in.Branch, content), "commit": s.showCommit(sha, made)})
	if replaces {
		a.status = http.StatusOK
	}
	return a
}

// raw serves the bytes of a file of a public repository to anyone. A commit
// outlives its branch, as on GitHub.
func (s *Server) raw(w http.ResponseWriter, r *http.Request) {
	if !s.admit(w, r) {
		return
	}
	var content []byte
	found := s.transact(func(st *state) answer {
		at, known := st.commitish(r.PathValue("ref"))
		there := false
		if content, there = st.Commits[at.SHA].Files[r.PathValue("path")]; !known || !there {
			return missing
		}
		return ok(nil)
	}, false)
	if found.status != http.StatusOK {
		http.Error(w, "404: Not Found", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write(content) // the client has gone; nothing to do
}
