package github

import (
	"crypto/sha1" //nolint:gosec // git's own ids are SHA-1
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"path"
	"regexp"
	"slices"
	"sort"
	"strings"
)

var (
	shaForm = regexp.MustCompile(`^[0-9a-f]{40}$`)
	refForm = regexp.MustCompile(`^refs/(?:heads|tags)/[A-Za-z0-9_][A-Za-z0-9._/-]{0,199}$`)
)

// Push stands for git push: it makes commit known, with the files that may be
// read or changed through the API, and points the ref ("refs/heads/main",
// "refs/tags/v1") at it. A tag that is there already must name the same commit.
// A commit that a branch moves to for the first time comes after what the branch
// had. On main and on a hotfix's branch its checks begin.
func (s *Server) Push(ref, commitID string, files map[string][]byte) error {
	if !refForm.MatchString(ref) || strings.Contains(ref, "..") || !shaForm.MatchString(commitID) {
		return fmt.Errorf("cannot push %q to %q", commitID, ref)
	}
	a := s.transact(func(st *state) *answer {
		if old, there := st.Refs[ref]; there && strings.HasPrefix(ref, "refs/tags/") && st.peel(old).SHA != commitID {
			return fail(http.StatusConflict, fmt.Sprintf("%s is at %s already", ref, old.SHA))
		}
		head, there := st.Refs[ref]
		known, old := st.Commits[commitID]
		if !old && strings.HasPrefix(ref, "refs/heads/") {
			known.Parent = head.SHA
		}
		if files != nil || known.Files == nil {
			st.Commits[commitID] = commit{Parent: known.Parent, Message: "pushed", Files: files}
		}
		if !there || strings.HasPrefix(ref, "refs/heads/") {
			st.Refs[ref] = object{"commit", commitID}
		}
		if head.SHA != commitID {
			st.startChecks(ref, commitID)
		}
		return ok(nil)
	}, true)
	if a.status != http.StatusOK {
		return fmt.Errorf("push %s: %v", ref, a.body)
	}
	return nil
}

// Merge stands for a pull request that people merged: a commit on the default
// branch in which these files are new or other ones. Its id is returned.
func (s *Server) Merge(message string, files map[string][]byte) (string, error) {
	var sha string
	a := s.transact(func(st *state) *answer {
		name := "refs/heads/" + defaultBranch
		head, there := st.Refs[name]
		if !there {
			return fail(http.StatusConflict, "there is no branch "+defaultBranch)
		}
		made := commit{Parent: head.SHA, Message: message, Files: map[string][]byte{}}
		maps.Copy(made.Files, st.Commits[head.SHA].Files)
		maps.Copy(made.Files, files)
		sha = id("merge", head.SHA, message, treeID(made.Files))
		st.Commits[sha], st.Refs[name] = made, object{"commit", sha}
		st.startChecks(name, sha)
		return ok(nil)
	}, true)
	if a.status != http.StatusOK {
		return "", fmt.Errorf("merge %q: %v", message, a.body)
	}
	return sha, nil
}

func id(parts ...string) string {
	sum := sha1.Sum([]byte(strings.Join(parts, "\x00"))) //nolint:gosec // git's own ids are SHA-1
	return hex.EncodeToString(sum[:])
}

// peel follows annotated tags.
func (st *state) peel(o object) object {
	for range 10 {
		if o.Type != "tag" {
			break
		}
		o = st.TagObjects[o.SHA].Object
	}
	return o
}

// commitish resolves a commit's id or a branch's name.
func (st *state) commitish(name string) (object, bool) {
	if _, known := st.Commits[name]; known {
		return object{"commit", name}, true
	}
	at, known := st.Refs["refs/heads/"+name]
	return at, known
}

func (s *Server) listTags(r *http.Request, st *state) *answer {
	names := []string{}
	for ref := range st.Refs {
		if name, isTag := strings.CutPrefix(ref, "refs/tags/"); isTag {
			names = append(names, name)
		}
	}
	sort.Sort(sort.Reverse(sort.StringSlice(names)))
	list := make([]any, 0, len(names))
	for _, name := range names {
		list = append(list, s.showTag(name, st.peel(st.Refs["refs/tags/"+name]).SHA))
	}
	return page(r, list)
}

func (s *Server) getRef(r *http.Request, st *state) *answer {
	name := "refs/" + r.PathValue("ref")
	at, there := st.Refs[name]
	if !there {
		return missing
	}
	if tag, isTag := strings.CutPrefix(name, "refs/tags/"); isTag {
		if rel := st.public(tag); rel != nil && s.isLate(rel, readRef) {
			return missing
		}
	}
	return ok(s.showRef(name, at))
}

func (s *Server) createRef(r *http.Request, st *state) *answer {
	var in struct{ Ref, SHA string }
	if bad := decode(r, &in); bad != nil {
		return bad
	}
	if !refForm.MatchString(in.Ref) || strings.Contains(in.Ref, "..") {
		return fail(http.StatusUnprocessableEntity, "Reference name must start with 'refs/' and be well-formed")
	}
	if _, there := st.Refs[in.Ref]; there {
		return fail(http.StatusUnprocessableEntity, "Reference already exists")
	}
	at := object{"commit", in.SHA}
	if _, annotated := st.TagObjects[in.SHA]; annotated {
		at.Type = "tag"
	} else if _, known := st.Commits[in.SHA]; !known {
		return fail(http.StatusUnprocessableEntity, "Object does not exist")
	}
	if st.otherWorkflows(st.peel(at).SHA) && !who(r).may(writeWorkflows) {
		return who(r).refuse(writeWorkflows)
	}
	st.Refs[in.Ref] = at
	return created(s.showRef(in.Ref, at))
}

func (s *Server) deleteRef(r *http.Request, st *state) *answer {
	name := "refs/" + r.PathValue("ref")
	if _, there := st.Refs[name]; !there {
		return fail(http.StatusUnprocessableEntity, "Reference does not exist")
	}
	delete(st.Refs, name)
	return &answer{status: http.StatusNoContent}
}

func (s *Server) getTagObject(r *http.Request, st *state) *answer {
	sha := r.PathValue("sha")
	t, there := st.TagObjects[sha]
	if !there {
		return missing
	}
	return ok(s.showTagObject(sha, t))
}

func (s *Server) createTagObject(r *http.Request, st *state) *answer {
	var in struct{ Tag, Message, Object, Type string }
	if bad := decode(r, &in); bad != nil {
		return bad
	}
	_, isCommit := st.Commits[in.Object]
	_, isTag := st.TagObjects[in.Object]
	if (in.Type != "commit" || !isCommit) && (in.Type != "tag" || !isTag) {
		return fail(http.StatusUnprocessableEntity, "Object does not exist")
	}
	t := annotation{Tag: in.Tag, Message: in.Message, Object: object{in.Type, in.Object}, Date: s.stamp()}
	sha := id("tag", in.Tag, in.Message, in.Object)
	st.TagObjects[sha] = t
	return created(s.showTagObject(sha, t))
}

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

// below are the files of a folder, by their path in it.
func below(folder string, files map[string][]byte) map[string][]byte {
	out := map[string][]byte{}
	for name, content := range files {
		if rest, inside := strings.CutPrefix(name, folder+"/"); inside {
			out[rest] = content
		}
	}
	return out
}

// folderTree finds the files of a folder that some commit has, by the id of its tree.
func (st *state) folderTree(sha string) (map[string][]byte, bool) {
	for _, c := range st.Commits {
		seen := map[string]bool{}
		for name := range c.Files {
			for folder := path.Dir(name); folder != "." && !seen[folder]; folder = path.Dir(folder) {
				seen[folder] = true
				if files := below(folder, c.Files); treeID(files) == sha {
					return files, true
				}
			}
		}
	}
	return nil, false
}

// getTree lists a folder by the id of its tree, or a commit's root by the name of a branch.
func (s *Server) getTree(r *http.Request, st *state) *answer {
	name := r.PathValue("sha")
	if at, known := st.commitish(name); known {
		files := st.Commits[at.SHA].Files
		return ok(s.showFolderTree(treeID(files), files))
	}
	files, known := st.tree(name)
	if !known {
		files, known = st.folderTree(name)
	}
	if !known {
		return missing
	}
	return ok(s.showFolderTree(name, files))
}

// getBlob is a file of any commit by the id of its content, however large it is.
func (s *Server) getBlob(r *http.Request, st *state) *answer {
	sha := r.PathValue("sha")
	for _, c := range st.Commits {
		for _, content := range c.Files {
			if blobID(content) == sha {
				return ok(s.showBlob(sha, content))
			}
		}
	}
	return missing
}

// createTree makes a tree of plain files from another one. Deleting and links are not known here.
func (s *Server) createTree(r *http.Request, st *state) *answer {
	var in struct {
		BaseTree string `json:"base_tree"`
		Tree     []struct{ Path, Mode, Type, Content string }
	}
	if bad := decode(r, &in); bad != nil {
		return bad
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
			return fail(http.StatusUnprocessableEntity,
				"tree.path contains a malformed path component, or tree.mode is not supported")
		}
		if isWorkflow(e.Path) && !who(r).may(writeWorkflows) {
			return who(r).refuse(writeWorkflows)
		}
		files[e.Path] = []byte(e.Content)
	}
	sha := treeID(files)
	st.Trees[sha] = files
	return created(s.showTree(sha, files))
}

// createCommit makes a commit that no branch leads to yet.
func (s *Server) createCommit(r *http.Request, st *state) *answer {
	var in struct {
		Message, Tree string
		Parents       []string
	}
	if bad := decode(r, &in); bad != nil {
		return bad
	}
	files, known := st.tree(in.Tree)
	if !known {
		return fail(http.StatusUnprocessableEntity, "Tree SHA does not exist")
	}
	if len(in.Parents) != 1 && len(in.Parents) != 2 {
		return fail(http.StatusNotImplemented,
			fmt.Sprintf("%d parents: this server knows commits with one or two", len(in.Parents)))
	}
	for _, parent := range in.Parents {
		if _, known := st.Commits[parent]; !known {
			return fail(http.StatusUnprocessableEntity, "Parent SHA does not exist or is not a commit object")
		}
	}
	made := commit{Parent: in.Parents[0], Message: in.Message, Files: files}
	if len(in.Parents) == 2 {
		made.Merged = in.Parents[1]
	}
	sha := id("commit", made.Parent, made.Merged, made.Message, in.Tree, s.stamp())
	st.Commits[sha] = made
	return created(s.showGitCommit(sha, made))
}

func (s *Server) getCommit(r *http.Request, st *state) *answer {
	sha := r.PathValue("sha")
	c, there := st.Commits[sha]
	if !there {
		return missing
	}
	return ok(s.showGitCommit(sha, c))
}

// updateRef moves a branch. Without force it only moves forward.
func (s *Server) updateRef(r *http.Request, st *state) *answer {
	var in struct {
		SHA   string
		Force bool
	}
	if bad := decode(r, &in); bad != nil {
		return bad
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

func (st *state) descends(sha, from string) bool { return slices.Contains(st.ancestors(sha), from) }

// ancestors are a commit and all that it was built on, the nearest first.
func (st *state) ancestors(sha string) []string {
	out := []string{sha}
	for i := 0; i < len(out); i++ {
		c := st.Commits[out[i]]
		for _, parent := range []string{c.Parent, c.Merged} {
			if parent != "" && !slices.Contains(out, parent) {
				out = append(out, parent)
			}
		}
	}
	return out
}

func blobID(content []byte) string { return id(fmt.Sprintf("blob %d", len(content)), string(content)) }

func (s *Server) getContent(r *http.Request, st *state) *answer {
	at, known := st.commitish(r.URL.Query().Get("ref"))
	if !known {
		return fail(http.StatusNotFound, "No commit found for the ref "+r.URL.Query().Get("ref"))
	}
	path, ref := r.PathValue("path"), r.URL.Query().Get("ref")
	if content, isFile := st.Commits[at.SHA].Files[path]; isFile {
		return ok(s.showContent(path, ref, content))
	}
	if list := s.showFolder(path, ref, st.Commits[at.SHA].Files); len(list) > 0 {
		return ok(list)
	}
	return missing
}

// putContent makes one commit on a branch. It demands the id of the blob it
// replaces, as GitHub does.
func (s *Server) putContent(r *http.Request, st *state) *answer {
	var in struct{ Message, Content, SHA, Branch string }
	if bad := decode(r, &in); bad != nil {
		return bad
	}
	path := r.PathValue("path")
	if isWorkflow(path) && !who(r).may(writeWorkflows) {
		return who(r).refuse(writeWorkflows)
	}
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
	shown := s.showContent(path, in.Branch, content)
	maps.DeleteFunc(shown, func(name string, _ any) bool { return name == "content" || name == "encoding" })
	a := created(fields{"content": shown, "commit": s.showGitCommit(sha, made)})
	if replaces {
		a.status = http.StatusOK
	}
	return a
}

// raw serves the bytes of a file of a public repository to anyone. A commit
// outlives its branch, as on GitHub.
func (s *Server) raw(w http.ResponseWriter, r *http.Request) {
	if r = s.admit(w, r, none); r == nil {
		return
	}
	var content []byte
	found := s.transact(func(st *state) *answer {
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
