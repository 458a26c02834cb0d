package github

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"strings"
)

// The functions here render GitHub's JSON; openapi_test.go holds them to its
// OpenAPI description.

// fields are those of one JSON object.
type fields map[string]any

// set gives several fields one value.
func (f fields) set(value any, names ...string) fields {
	for _, name := range names {
		f[name] = value
	}
	return f
}

// below gives each name the field name_url, an address below at.
func (f fields) below(at string, names ...string) fields {
	for _, name := range names {
		f[name+"_url"] = at + "/" + name
	}
	return f
}

func (s *Server) ownerName() string { return strings.Split(s.repository, "/")[0] }

func (s *Server) apiURL(format string, args ...any) string {
	return "https://" + apiHost + "/repos/" + s.repository + "/" + fmt.Sprintf(format, args...)
}

func (s *Server) webURL(format string, args ...any) string {
	return "https://" + webHost + "/" + s.repository + "/" + fmt.Sprintf(format, args...)
}

func node(kind string, id any) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%s%v", kind, id))
}

func (s *Server) user() fields { return s.person(s.ownerName()) }

func (s *Server) person(login string) fields {
	at := "https://" + apiHost + "/users/" + login
	return fields{"login": login, "id": 1, "node_id": node("User", 1), "gravatar_id": "", "type": "User",
		"site_admin": false, "avatar_url": "https://avatars.githubusercontent.com/u/1",
		"html_url": "https://" + webHost + "/" + login, "url": at, "organizations_url": at + "/orgs",
	}.below(at, "events", "followers", "following", "gists", "received_events", "repos", "starred", "subscriptions")
}

// webName is the tag in addresses; a draft has none yet.
func (rel *release) webName() string {
	if rel.Draft {
		return "untagged-" + id("draft", fmt.Sprint(rel.ID))[:20]
	}
	return rel.Tag
}

func (s *Server) showRelease(rel *release) fields {
	at := s.apiURL("releases/%d", rel.ID)
	f := fields{"id": rel.ID, "node_id": node("Release", rel.ID), "tag_name": rel.Tag, "target_commitish": rel.Target,
		"name": rel.Title, "body": rel.Body, "draft": rel.Draft, "prerelease": rel.Prerelease, "immutable": false,
		"author": s.user(), "assets": s.present(rel),
		"url": at, "assets_url": at + "/assets", "html_url": s.webURL("releases/tag/%s", rel.webName()),
		"upload_url": strings.Replace(at, apiHost, uploadHost, 1) + "/assets{?name,label}",
	}.set(rel.CreatedAt, "created_at", "updated_at").set(nil, "published_at", "tarball_url", "zipball_url")
	if !rel.Draft {
		f["published_at"] = rel.PublishedAt
		f["tarball_url"], f["zipball_url"] = s.apiURL("tarball/%s", rel.Tag), s.apiURL("zipball/%s", rel.Tag)
	}
	return f
}

// showAsset is nil when the file of a finished upload is no longer there.
func (s *Server) showAsset(rel *release, a *asset) fields {
	f := fields{"id": a.ID, "node_id": node("ReleaseAsset", a.ID), "name": a.Name, "label": "",
		"content_type": a.ContentType, "state": a.State, "digest": nil, "uploader": s.user(),
		"url":                  s.apiURL("releases/assets/%d", a.ID),
		"browser_download_url": s.webURL("releases/download/%s/%s", rel.webName(), a.Name),
	}.set(a.CreatedAt, "created_at", "updated_at").set(0, "size", "download_count")
	if a.State != "uploaded" {
		return f
	}
	sum, size, err := digest.OfFile(s.file(rel, a))
	if err != nil {
		return nil
	}
	f["size"], f["digest"] = size, sum
	return f
}

func (s *Server) showObject(o object) fields {
	return fields{"type": o.Type, "sha": o.SHA, "url": s.apiURL("git/%ss/%s", o.Type, o.SHA)}
}

func (s *Server) showRef(name string, at object) fields {
	return fields{"ref": name, "node_id": node("Ref", name), "url": s.apiURL("git/%s", name), "object": s.showObject(at)}
}

func (s *Server) showTag(name, sha string) fields {
	return fields{"name": name, "node_id": node("Ref", "refs/tags/"+name),
		"commit":      fields{"sha": sha, "url": s.apiURL("commits/%s", sha)},
		"zipball_url": s.apiURL("zipball/refs/tags/%s", name), "tarball_url": s.apiURL("tarball/refs/tags/%s", name)}
}

func (s *Server) showTagObject(sha string, t annotation) fields {
	return fields{"node_id": node("Tag", sha), "sha": sha, "url": s.apiURL("git/tags/%s", sha), "tag": t.Tag,
		"message": t.Message, "tagger": s.showAuthor(t.Date), "object": s.showObject(t.Object)}
}

// showAuthor is who made a tag or a commit: always the owner.
func (s *Server) showAuthor(date string) fields {
	return fields{"name": s.ownerName(), "email": s.ownerName() + "@users.noreply.github.com", "date": date}
}

// maxShown bounds the files that are shown with their content: "Between 1-100 MB" it is
// left out; who wants it asks for the blob.
const maxShown = 1_000_000

func (s *Server) showContent(file, ref string, content []byte) fields {
	self, html, sha := s.apiURL("contents/%s?ref=%s", file, ref), s.webURL("blob/%s/%s", ref, file), blobID(content)
	blob := s.apiURL("git/blobs/%s", sha)
	encoding, shown := "base64", base64.StdEncoding.EncodeToString(content)
	if len(content) > maxShown {
		encoding, shown = "none", ""
	}
	return fields{"type": "file", "encoding": encoding, "size": len(content), "name": path.Base(file), "path": file,
		"sha": sha, "content": shown,
		"download_url": fmt.Sprintf("https://%s/%s/%s/%s", rawHost, s.repository, ref, file),
		"url":          self, "html_url": html, "git_url": blob, "_links": fields{"self": self, "git": blob, "html": html}}
}

func (s *Server) showBlob(sha string, content []byte) fields {
	return fields{"sha": sha, "node_id": node("Blob", sha), "size": len(content), "url": s.apiURL("git/blobs/%s", sha),
		"encoding": "base64", "content": base64.StdEncoding.EncodeToString(content)}
}

// maxFolder: "This API has an upper limit of 1,000 files for a directory."
const maxFolder = 1000

// showFolder lists what lies in a folder, without the contents; nothing for one that does not exist.
func (s *Server) showFolder(folder, ref string, files map[string][]byte) []any {
	list, last := []any{}, ""
	for _, file := range slices.Sorted(maps.Keys(files)) {
		rest, inside := strings.CutPrefix(file, folder+"/")
		name, _, deeper := strings.Cut(rest, "/")
		if !inside || name == last || len(list) == maxFolder {
			continue
		}
		last = name
		f := s.showContent(path.Join(folder, name), ref, files[file])
		delete(f, "content")
		delete(f, "encoding")
		if deeper {
			f["type"], f["size"], f["sha"], f["download_url"] = "dir", 0, treeID(below(path.Join(folder, name), files)), nil
		}
		list = append(list, f)
	}
	return list
}

// showGitCommit is the commit as the Git database shows it.
func (s *Server) showGitCommit(sha string, c commit) fields {
	tree := treeID(c.Files)
	return fields{"sha": sha, "node_id": node("Commit", sha), "message": c.Message,
		"url": s.apiURL("git/commits/%s", sha), "html_url": s.webURL("commit/%s", sha),
		"tree":         fields{"sha": tree, "url": s.apiURL("git/trees/%s", tree)},
		"verification": fields{"verified": false, "reason": "unsigned"}.set(nil, "signature", "payload", "verified_at"),
		"parents":      s.showParents(c),
	}.set(s.showAuthor(s.stamp()), "author", "committer")
}

func (s *Server) showParents(c commit) []any {
	out := []any{}
	for _, parent := range []string{c.Parent, c.Merged} {
		if parent != "" {
			out = append(out, fields{"sha": parent, "url": s.apiURL("git/commits/%s", parent),
				"html_url": s.webURL("commit/%s", parent)})
		}
	}
	return out
}

// showFolderTree lists what lies in a folder: its files, and the trees of its folders.
func (s *Server) showFolderTree(sha string, files map[string][]byte) fields {
	entries, last := []any{}, ""
	for _, file := range slices.Sorted(maps.Keys(files)) {
		name, _, deeper := strings.Cut(file, "/")
		if name == last {
			continue
		}
		last = name
		id := blobID(files[file])
		entry := fields{"path": name, "mode": "100644", "type": "blob", "sha": id, "size": len(files[file]),
			"url": s.apiURL("git/blobs/%s", id)}
		if deeper {
			id = treeID(below(name, files))
			entry = fields{"path": name, "mode": "040000", "type": "tree", "sha": id, "url": s.apiURL("git/trees/%s", id)}
		}
		entries = append(entries, entry)
	}
	return fields{"sha": sha, "url": s.apiURL("git/trees/%s", sha), "truncated": false, "tree": entries}
}

// showTree lists the files of a tree that was made flat, where GitHub nests folders.
func (s *Server) showTree(sha string, files map[string][]byte) fields {
	entries := []any{}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		blob := blobID(files[path])
		entries = append(entries, fields{"path": path, "mode": "100644", "type": "blob", "sha": blob,
			"size": len(files[path]), "url": s.apiURL("git/blobs/%s", blob)})
	}
	return fields{"sha": sha, "url": s.apiURL("git/trees/%s", sha), "truncated": false, "tree": entries}
}

func (s *Server) showPull(st *state, p *pull) fields {
	api, issue, web := s.apiURL("pulls/%d", p.Number), s.apiURL("issues/%d", p.Number), s.webURL("pull/%d", p.Number)
	var closed, merged any
	if p.ClosedAt != "" {
		closed = p.ClosedAt
	}
	if p.Merged {
		merged = p.ClosedAt
	}
	return fields{"id": p.Number, "node_id": node("PullRequest", p.Number), "number": p.Number, "state": p.State,
		"title": p.Title, "body": p.Body, "user": s.user(), "labels": s.showLabels(st, p), "author_association": "OWNER",
		"head": s.showBranch(st, p.Head), "base": s.showBranch(st, p.Base), "_links": s.showLinks(st, p),
		"url": api, "html_url": web, "diff_url": web + ".diff", "patch_url": web + ".patch", "issue_url": issue,
		"commits_url": api + "/commits", "comments_url": issue + "/comments", "review_comments_url": api + "/comments",
		"review_comment_url": s.apiURL("pulls/comments{/number}"),
		"statuses_url":       s.apiURL("statuses/%s", st.Refs["refs/heads/"+p.Head].SHA),
	}.set(p.CreatedAt, "created_at", "updated_at").set(false, "locked", "draft").
		set(nil, "milestone", "merge_commit_sha", "assignee", "auto_merge").
		set(closed, "closed_at").set(merged, "merged_at")
}

func (s *Server) showBranch(st *state, branch string) fields {
	return fields{"label": s.ownerName() + ":" + branch, "ref": branch, "sha": st.Refs["refs/heads/"+branch].SHA,
		"user": s.user(), "repo": s.showRepositoryBriefly()}
}

// showLinks are a pull request's addresses once more.
func (s *Server) showLinks(st *state, p *pull) fields {
	api, issue, links := s.apiURL("pulls/%d", p.Number), s.apiURL("issues/%d", p.Number), fields{}
	for name, at := range map[string]string{"self": api, "html": s.webURL("pull/%d", p.Number), "issue": issue,
		"comments": issue + "/comments", "review_comments": api + "/comments", "commits": api + "/commits",
		"review_comment": s.apiURL("pulls/comments{/number}"),
		"statuses":       s.apiURL("statuses/%s", st.Refs["refs/heads/"+p.Head].SHA)} {
		links[name] = fields{"href": at}
	}
	return links
}

// showRepositoryBriefly is the repository as other things show it.
func (s *Server) showRepositoryBriefly() fields {
	f := s.showRepository(asker{})
	maps.DeleteFunc(f, func(name string, _ any) bool { return name == "network_count" || name == "subscribers_count" })
	return f
}

// showRepositoryMinimally is the repository as a workflow run shows it.
func (s *Server) showRepositoryMinimally() fields {
	f := s.showRepositoryBriefly()
	minimal := s.description.Schemas["minimal-repository"].Properties
	maps.DeleteFunc(f, func(name string, _ any) bool { _, known := minimal[name]; return !known })
	return f
}

func (s *Server) showLabels(st *state, p *pull) []any {
	out := []any{}
	for _, name := range p.Labels {
		out = append(out, fields{"id": st.Labels[name], "node_id": node("Label", st.Labels[name]), "name": name,
			"url": s.apiURL("labels/%s", name), "description": "", "color": "ededed", "default": false})
	}
	return out
}

// showRepositoryTo answers with the repository as the asker sees it.
func (s *Server) showRepositoryTo(w http.ResponseWriter, r *http.Request) {
	if r = s.admit(w, r, none); r != nil {
		s.reply(w, r, ok(s.showRepository(who(r))))
	}
}

func (s *Server) showRepository(a asker) fields {
	at, web := "https://"+apiHost+"/repos/"+s.repository, webHost+"/"+s.repository
	f := fields{"id": 1, "node_id": node("Repository", 1), "name": s.repository[len(s.ownerName())+1:],
		"full_name": s.repository, "owner": s.user(), "visibility": "public", "default_branch": defaultBranch, "size": 1,
		"url": at, "html_url": "https://" + web, "clone_url": "https://" + web + ".git", "svn_url": "https://" + web,
		"git_url": "git://" + web + ".git", "ssh_url": "git@" + webHost + ":" + s.repository + ".git",
	}.set(nil, "description", "homepage", "language", "license", "mirror_url").
		set(s.stamp(), "created_at", "updated_at", "pushed_at").
		set(false, "private", "fork", "archived", "disabled",
			"has_issues", "has_projects", "has_wiki", "has_pages", "has_downloads", "has_discussions").
		set(0, "forks", "forks_count", "network_count", "open_issues", "open_issues_count", "stargazers_count",
			"subscribers_count", "watchers", "watchers_count").
		below(at, "archive", "assignees", "blobs", "branches", "collaborators", "comments", "commits", "compare",
			"contents", "contributors", "deployments", "downloads", "events", "forks", "git_commits", "git_refs",
			"git_tags", "hooks", "issue_comment", "issue_events", "issues", "keys", "labels", "languages", "merges",
			"milestones", "notifications", "pulls", "releases", "stargazers", "statuses", "subscribers", "subscription",
			"tags", "teams", "trees")
	switch a.Kind {
	case classic, fineGrained: // what their owner may, whatever the token may
		f["permissions"] = fields{}.set(true, "admin", "maintain", "push", "triage", "pull")
	case job:
		f["permissions"] = fields{}.set(false, "admin", "maintain", "push", "triage", "pull")
	}
	return f
}
