package github

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
)

// MergePull stands for a person who merges a pull request by hand: it closes it and
// returns the files of its branch that its base does not have like that. Whoever
// calls it pushes the base branch with them.
func (s *Server) MergePull(number int64) (map[string][]byte, error) {
	var files map[string][]byte
	a := s.transact(func(st *state) *answer {
		at := slices.IndexFunc(st.Pulls, func(p *pull) bool { return p.Number == number && p.State == "open" })
		if at < 0 {
			return missing
		}
		p := st.Pulls[at]
		base := st.Commits[st.Refs["refs/heads/"+p.Base].SHA].Files
		files = maps.Clone(st.Commits[st.Refs["refs/heads/"+p.Head].SHA].Files)
		maps.DeleteFunc(files, func(path string, data []byte) bool { return blobID(base[path]) == blobID(data) })
		p.State = "closed"
		return ok(nil)
	}, true)
	if a.status != http.StatusOK {
		return nil, fmt.Errorf("merge pull request %d: %v", number, a.body)
	}
	return files, nil
}
