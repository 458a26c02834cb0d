package github

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	defaultBranch = "main"
	maxBody       = 125_000 // characters of a release's notes
)

func (s *Server) listReleases(r *http.Request, st *state) *answer {
	list := []*release{}
	for _, rel := range slices.Backward(st.Releases) { // the newest first
		if s.isLate(rel, readList) {
			rel = asBefore(rel)
		}
		if !rel.Draft || who(r).pushes() {
			list = append(list, rel)
		}
	}
	return s.releasesPage(r, list)
}

// maxListed is how many assets a page of releases has at most. GitHub names no
// number; long pages of releases with many assets end in 502 or 504.
const maxListed = 1000

func (s *Server) releasesPage(r *http.Request, list []*release) *answer {
	shown, assets := make([]any, len(list)), 0
	for i, rel := range list {
		shown[i] = s.showRelease(rel)
	}
	a := page(r, shown)
	for _, rel := range a.body.([]any) {
		assets += len(rel.(fields)["assets"].([]any))
	}
	if assets > s.pageAssets {
		return fail(http.StatusBadGateway, "Server Error")
	}
	return a
}

func (s *Server) getRelease(r *http.Request, st *state) *answer {
	rel := st.release(r.PathValue("id"), who(r))
	if rel == nil {
		return missing
	}
	if s.isLate(rel, readByID) {
		if rel = asBefore(rel); !who(r).pushes() {
			return missing
		}
	}
	return ok(s.showRelease(rel))
}

// releaseByTag hides drafts from everyone, as GitHub does.
func (s *Server) releaseByTag(tag string, st *state) *answer {
	if rel := st.public(tag); rel != nil && !s.isLate(rel, readByTag) {
		return ok(s.showRelease(rel))
	}
	return missing
}

func (st *state) public(tag string) *release {
	for _, rel := range st.Releases {
		if rel.Tag == tag && !rel.Draft {
			return rel
		}
	}
	return nil
}

func (s *Server) latestRelease(_ *http.Request, st *state) *answer {
	latest := st.latest()
	if latest == nil {
		return missing
	}
	return ok(s.showRelease(latest))
}

// latest is the release that was made the latest, or else the newest that may be; nil when there is none.
func (st *state) latest() (latest *release) {
	for _, rel := range st.Releases {
		if rel.Draft || rel.Prerelease {
			continue
		}
		if latest = rel; rel.ID == st.LatestID {
			break
		}
	}
	return latest
}

// change is the body of POST and PATCH; absent fields stay nil.
type change struct {
	Tag        *string `json:"tag_name"`
	Target     *string `json:"target_commitish"`
	Title      *string `json:"name"`
	Body       *string `json:"body"`
	Draft      *bool   `json:"draft"`
	Prerelease *bool   `json:"prerelease"`
	MakeLatest string  `json:"make_latest"`
}

func (s *Server) createRelease(r *http.Request, st *state) *answer {
	var in change
	if bad := decode(r, &in); bad != nil {
		return bad
	}
	if in.Tag == nil || !plainName(*in.Tag) {
		return invalid("Release", "tag_name", "custom", "tag_name is not well-formed")
	}
	rel := &release{ID: st.next(), Tag: *in.Tag, Target: defaultBranch, CreatedAt: s.stamp(),
		Draft: true, Assets: []*asset{}}
	rel.Folder = rel.Tag
	if slices.ContainsFunc(st.Releases, func(o *release) bool { return o.Folder == rel.Folder }) {
		rel.Folder = fmt.Sprintf("%s~%d", rel.Tag, rel.ID) // GitHub allows several drafts of a tag; git forbids ~ in tags
	}
	st.Releases = append(st.Releases, rel)
	if in.Draft == nil {
		in.Draft = new(bool)
	}
	if bad := s.apply(r, st, rel, in); bad != nil {
		return bad
	}
	return created(s.showRelease(rel))
}

func (s *Server) updateRelease(r *http.Request, st *state) *answer {
	rel := st.release(r.PathValue("id"), who(r))
	if rel == nil {
		return missing
	}
	var in change
	if bad := decode(r, &in); bad != nil {
		return bad
	}
	if in.Tag != nil && *in.Tag != rel.Tag {
		return invalid("Release", "tag_name", "custom", "the tag of a release does not change here")
	}
	if bad := s.apply(r, st, rel, in); bad != nil {
		return bad
	}
	return ok(s.showRelease(rel))
}

func (s *Server) apply(r *http.Request, st *state, rel *release, in change) *answer {
	if in.Body != nil && utf8.RuneCountInString(*in.Body) > maxBody {
		return invalid("Release", "body", "custom", fmt.Sprintf("body is too long (maximum is %d characters)", maxBody))
	}
	wasDraft := rel.Draft
	assign(&rel.Target, in.Target)
	if st.otherWorkflows(rel.Target) && !who(r).may(writeWorkflows) {
		return who(r).refuse(writeWorkflows)
	}
	assign(&rel.Title, in.Title)
	assign(&rel.Body, in.Body)
	assign(&rel.Draft, in.Draft)
	assign(&rel.Prerelease, in.Prerelease)
	if wasDraft && !rel.Draft {
		if bad := s.publish(st, rel); bad != nil {
			return bad
		}
		if in.MakeLatest == "" && !rel.Prerelease {
			in.MakeLatest = "true" // "Defaults to `true` for newly published releases"
		}
	}
	return makeLatest(st, rel, in.MakeLatest)
}

// otherWorkflows says whether a commit's or a branch's workflow files are not
// those of the default branch. Neither creating a release of such a target nor
// editing one, whatever is edited, is for tokens that may not change workflows.
func (st *state) otherWorkflows(target string) bool {
	at, known := st.commitish(target)
	return known && !maps.EqualFunc(st.workflows(at), st.workflows(st.Refs["refs/heads/"+defaultBranch]), bytes.Equal)
}

func (st *state) workflows(at object) map[string][]byte {
	files := maps.Clone(st.Commits[st.peel(at).SHA].Files)
	maps.DeleteFunc(files, func(path string, _ []byte) bool { return !isWorkflow(path) })
	return files
}

func isWorkflow(path string) bool { return strings.HasPrefix(path, ".github/workflows/") }

func assign[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// publish makes the tag if there is none, as GitHub does when a draft becomes public.
func (s *Server) publish(st *state, rel *release) *answer {
	for _, other := range st.Releases {
		if other != rel && other.Tag == rel.Tag && !other.Draft {
			return invalid("Release", "tag_name", "already_exists", "")
		}
	}
	if _, there := st.Refs["refs/tags/"+rel.Tag]; !there {
		at, known := st.commitish(rel.Target)
		if !known {
			return invalid("Release", "target_commitish", "invalid", "")
		}
		st.Refs["refs/tags/"+rel.Tag] = at
	}
	rel.PublishedAt = s.stamp()
	s.published(rel)
	return nil
}

func makeLatest(st *state, rel *release, how string) *answer {
	switch how {
	case "":
	case "true":
		if rel.Draft || rel.Prerelease {
			return invalid("Release", "make_latest", "custom", "Latest release cannot be draft or prerelease")
		}
		st.LatestID = rel.ID
	case "false", "legacy":
		if st.LatestID == rel.ID {
			st.LatestID = 0
		}
	default:
		return fail(http.StatusUnprocessableEntity,
			"Invalid request.\n\nmake_latest is not a possible value. Must be one of true, false, legacy.")
	}
	return nil
}
