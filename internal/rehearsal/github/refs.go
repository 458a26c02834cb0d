package github

import (
	"crypto/sha1" //nolint:gosec // git's own ids are SHA-1
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
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
func (s *Server) Push(ref, commitID string, files map[string][]byte) error {
	if !refForm.MatchString(ref) || strings.Contains(ref, "..") || !shaForm.MatchString(commitID) {
		return fmt.Errorf("cannot push %q to %q", commitID, ref)
	}
	a := s.transact(func(st *state) answer {
		if old, there := st.Refs[ref]; there && strings.HasPrefix(ref, "refs/tags/") && st.peel(old).SHA != commitID {
			return fail(http.StatusConflict, fmt.Sprintf("%s is at %s already", ref, old.SHA))
		}
		if known := st.Commits[commitID]; files != nil || known.Files == nil {
			st.Commits[commitID] = commit{Message: "pushed", Files: files}
		}
		if _, there := st.Refs[ref]; !there || strings.HasPrefix(ref, "refs/heads/") {
			st.Refs[ref] = object{"commit", commitID}
		}
		return ok(nil)
	}, true)
	if a.status != http.StatusOK {
		return fmt.Errorf("push %s: %v", ref, a.body)
	}
	return nil
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

func (s *Server) listTags(r *http.Request, st *state) answer {
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

func (s *Server) getRef(r *http.Request, st *state) answer {
	name := "refs/" + r.PathValue("ref")
	at, there := st.Refs[name]
	if !there {
		return missing
	}
	return ok(s.showRef(name, at))
}

func (s *Server) createRef(r *http.Request, st *state) answer {
	var in struct{ Ref, SHA string }
	if bad := decode(r, &in); bad != nil {
		return *bad
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
	st.Refs[in.Ref] = at
	return created(s.showRef(in.Ref, at))
}

func (s *Server) deleteRef(r *http.Request, st *state) answer {
	name := "refs/" + r.PathValue("ref")
	if _, there := st.Refs[name]; !there {
		return fail(http.StatusUnprocessableEntity, "Reference does not exist")
	}
	delete(st.Refs, name)
	return answer{status: http.StatusNoContent}
}

func (s *Server) getTagObject(r *http.Request, st *state) answer {
	sha := r.PathValue("sha")
	t, there := st.TagObjects[sha]
	if !there {
		return missing
	}
	return ok(s.showTagObject(sha, t))
}

func (s *Server) createTagObject(r *http.Request, st *state) answer {
	var in struct{ Tag, Message, Object, Type string }
	if bad := decode(r, &in); bad != nil {
		return *bad
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
