package github

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
)

// treeID is the id of a folder with these files, however they came there.
func treeID(files map[string][]byte) string {
	parts := []string{"tree"}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		parts = append(parts, path, blobID(files[path]))
	}
	return id(parts...)
}

// tree finds the files of a tree that was made or that a commit has.
func (st *state) tree(sha string) (map[string][]byte, bool) {
	if files, made := st.Trees[sha]; made {
		return files, true
	}
	for _, c := range st.Commits {
		if treeID(c.Files) == sha {
			return c.Files, true
		}
	}
	return nil, false
}

// createTree makes a tree of plain files from another one. Deleting and links are not known here.
func (s *Server) createTree(r *http.Request, st *state) answer {
	var in struct {
		BaseTree string `json:"base_tree"`
		Tree     []struct{ Path, Mode, Type, Content string }
	}
	if bad := decode(r, &in); bad != nil {
		return *bad
	}
	base, known := st.tree(in.BaseTree)
	switch {
	case in.BaseTree != "" && !known:
		return missing
	case len(in.Tree) == 0:
		return fail(http.StatusUnprocessableEntity, "Invalid tree info")
	}
	files := map[string][]byte{}
	maps.Copy(files, base)
	for _, e := range in.Tree {
		if e.Path == "" || e.Mode != "100644" || e.Type != "blob" {
			return fail(http.StatusUnprocessableEntity, "tree.path contains a malformed path component, or tree.mode is not supported")
		}
		files[e.Path] = []byte(e.Content)
	}
	sha := treeID(files)
	st.Trees[sha] = files
	return created(s.showTree(sha, files))
}

// createCommit makes a commit that no branch leads to yet.
func (s *Server) createCommit(r *http.Request, st *state) answer {
	var in struct {
		Message, Tree string
		Parents       []string
	}
	if bad := decode(r, &in); bad != nil {
		return *bad
	}
	files, known := st.tree(in.Tree)
	if !known {
		return fail(http.StatusUnprocessableEntity, "Tree SHA does not exist")
	}
	if len(in.Parents) != 1 {
		return fail(http.StatusNotImplemented, fmt.Sprintf("%d parents: this server knows commits with one", len(in.Parents)))
	}
	if _, known := st.Commits[in.Parents[0]]; !known {
		return fail(http.StatusUnprocessableEntity, "Parent SHA does not exist or is not a commit object")
	}
	made := commit{Parent: in.Parents[0], Message: in.Message, Files: files}
	sha := id("commit", made.Parent, made.Message, in.Tree, s.stamp())
	st.Commits[sha] = made
	return created(s.showGitCommit(sha, made))
}

func (s *Server) getCommit(r *http.Request, st *state) answer {
	sha := r.PathValue("sha")
	c, there := st.Commits[sha]
	if !there {
		return missing
	}
	return ok(s.showGitCommit(sha, c))
}

// updateRef moves a branch. Without force it only moves forward.
func (s *Server) updateRef(r *http.Request, st *state) answer {
	var in struct {
		SHA   string
		Force bool
	}
	if bad := decode(r, &in); bad != nil {
		return *bad
	}
	name := "refs/" + r.PathValue("ref")
	at, there := st.Refs[name]
	if !there {
		return fail(http.StatusUnprocessableEntity, "Reference does not exist")
	}
	if _, known := st.Commits[in.SHA]; !known {
		return fail(http.StatusUnprocessableEntity, "Object does not exist")
	}
	if !in.Force && !st.descends(in.SHA, at.SHA) {
		return fail(http.StatusUnprocessableEntity, "Update is not a fast forward")
	}
	st.Refs[name] = object{"commit", in.SHA}
	return ok(s.showRef(name, st.Refs[name]))
}

func (st *state) descends(sha, from string) bool {
	for sha != "" && sha != from {
		sha = st.Commits[sha].Parent
	}
	return sha == from
}
