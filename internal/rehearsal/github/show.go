package github

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
)

// The functions here render GitHub's JSON; openapi_test.go holds them to its
// OpenAPI description.

type fields = map[string]any

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

func (s *Server) user() fields {
	login := s.ownerName()
	u := fields{"login": login, "id": 1, "node_id": node("User", 1), "gravatar_id": "", "type": "User", "site_admin": false,
		"avatar_url": "https://avatars.githubusercontent.com/u/1", "html_url": "https://" + webHost + "/" + login}
	at := "https://" + apiHost + "/users/" + login
	u["url"] = at
	for _, list := range []string{"events", "followers", "following", "gists", "organizations", "received_events", "repos", "starred", "subscriptions"} {
		u[list+"_url"] = at + "/" + list
	}
	u["organizations_url"] = at + "/orgs"
	return u
}

// webName is the tag in addresses; a draft has none yet.
func (rel *release) webName() string {
	if rel.Draft {
		return "untagged-" + id("draft", fmt.Sprint(rel.ID))[:20]
	}
	return rel.Tag
}

func (s *Server) showRelease(rel *release) fields {
	f := fields{"id": rel.ID, "node_id": node("Release", rel.ID), "tag_name": rel.Tag, "target_commitish": rel.Target,
		"name": rel.Title, "body": rel.Body, "draft": rel.Draft, "prerelease": rel.Prerelease, "immutable": false,
		"created_at": rel.CreatedAt, "updated_at": rel.CreatedAt, "published_at": nil, "author": s.user(), "assets": s.present(rel),
		"url": s.apiURL("releases/%d", rel.ID), "assets_url": s.apiURL("releases/%d/assets", rel.ID), "html_url": s.webURL("releases/tag/%s", rel.webName()),
		"upload_url":  fmt.Sprintf("https://%s/repos/%s/releases/%d/assets{?name,label}", uploadHost, s.repository, rel.ID),
		"tarball_url": nil, "zipball_url": nil}
	if !rel.Draft {
		f["published_at"] = rel.PublishedAt
		f["tarball_url"], f["zipball_url"] = s.apiURL("tarball/%s", rel.Tag), s.apiURL("zipball/%s", rel.Tag)
	}
	return f
}

// showAsset is nil when the file of a finished upload is no longer there.
func (s *Server) showAsset(rel *release, a *asset) fields {
	f := fields{"id": a.ID, "node_id": node("ReleaseAsset", a.ID), "name": a.Name, "label": "", "content_type": a.ContentType, "state": a.State,
		"size": 0, "digest": nil, "download_count": 0, "created_at": a.CreatedAt, "updated_at": a.CreatedAt, "uploader": s.user(),
		"url": s.apiURL("releases/assets/%d", a.ID), "browser_download_url": s.webURL("releases/download/%s/%s", rel.webName(), a.Name)}
	if a.State != "uploaded" {
		return f
	}
	size, sum, there := s.sums.of(s.file(rel, a))
	if !there {
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
	return fields{"name": name, "node_id": node("Ref", "refs/tags/"+name), "commit": fields{"sha": sha, "url": s.apiURL("commits/%s", sha)},
		"zipball_url": s.apiURL("zipball/refs/tags/%s", name), "tarball_url": s.apiURL("tarball/refs/tags/%s", name)}
}

func (s *Server) showTagObject(sha string, t annotation) fields {
	return fields{"node_id": node("Tag", sha), "sha": sha, "url": s.apiURL("git/tags/%s", sha), "tag": t.Tag, "message": t.Message,
		"tagger": s.showAuthor(t.Date), "object": s.showObject(t.Object)}
}

// showAuthor is who made a tag or a commit: always the owner.
func (s *Server) showAuthor(date string) fields {
	return fields{"name": s.ownerName(), "email": s.ownerName() + "@users.noreply.github.com", "date": date}
}

func (s *Server) showContent(file, ref string, content []byte) fields {
	self, html, sha := s.apiURL("contents/%s?ref=%s", file, ref), s.webURL("blob/%s/%s", ref, file), blobID(content)
	blob := s.apiURL("git/blobs/%s", sha)
	return fields{"type": "file", "encoding": "base64", "size": len(content), "name": path.Base(file), "path": file, "sha": sha,
		"content": base64.StdEncoding.EncodeToString(content), "url": self, "html_url": html, "git_url": blob, "download_url": nil,
		"_links": fields{"self": self, "git": blob, "html": html}}
}

func (s *Server) showCommit(sha string, c commit) fields {
	return fields{"sha": sha, "node_id": node("Commit", sha), "url": s.apiURL("git/commits/%s", sha), "html_url": s.webURL("commit/%s", sha),
		"message": c.Message, "parents": []any{fields{"sha": c.Parent, "url": s.apiURL("git/commits/%s", c.Parent)}}}
}

// showGitCommit is the commit as the Git database shows it.
func (s *Server) showGitCommit(sha string, c commit) fields {
	f, tree, who := s.showCommit(sha, c), treeID(c.Files), s.showAuthor(s.stamp())
	f["author"], f["committer"], f["tree"] = who, who, fields{"sha": tree, "url": s.apiURL("git/trees/%s", tree)}
	f["verification"] = fields{"verified": false, "reason": "unsigned", "signature": nil, "payload": nil, "verified_at": nil}
	return f
}

// showTree lists files flat, where GitHub nests folders.
func (s *Server) showTree(sha string, files map[string][]byte) fields {
	entries := []any{}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		blob := blobID(files[path])
		entries = append(entries, fields{"path": path, "mode": "100644", "type": "blob", "sha": blob, "size": len(files[path]), "url": s.apiURL("git/blobs/%s", blob)})
	}
	return fields{"sha": sha, "url": s.apiURL("git/trees/%s", sha), "truncated": false, "tree": entries}
}

func (s *Server) showPull(st *state, p *pull) fields {
	f := fields{"id": p.Number, "node_id": node("PullRequest", p.Number), "number": p.Number, "state": p.State, "locked": false, "title": p.Title,
		"body": p.Body, "user": s.user(), "labels": s.showLabels(st, p), "milestone": nil, "created_at": p.CreatedAt, "updated_at": p.CreatedAt, "closed_at": nil,
		"merged_at": nil, "merge_commit_sha": nil, "assignee": nil, "author_association": "OWNER", "auto_merge": nil, "draft": false,
		"head": s.showEnd(st, p.Head), "base": s.showEnd(st, p.Base), "_links": fields{},
		"url": s.apiURL("pulls/%d", p.Number), "html_url": s.webURL("pull/%d", p.Number), "diff_url": s.webURL("pull/%d.diff", p.Number),
		"patch_url": s.webURL("pull/%d.patch", p.Number), "issue_url": s.apiURL("issues/%d", p.Number)}
	f["commits_url"], f["comments_url"] = s.apiURL("pulls/%d/commits", p.Number), s.apiURL("issues/%d/comments", p.Number)
	f["review_comments_url"], f["review_comment_url"] = s.apiURL("pulls/%d/comments", p.Number), s.apiURL("pulls/comments{/number}")
	f["statuses_url"] = s.apiURL("statuses/%s", st.Refs["refs/heads/"+p.Head].SHA)
	return f
}

func (s *Server) showEnd(st *state, branch string) fields {
	return fields{"label": s.ownerName() + ":" + branch, "ref": branch, "sha": st.Refs["refs/heads/"+branch].SHA, "user": s.user(),
		"repo": fields{"full_name": s.repository}}
}

// scopes are those of the owner's token, a classic one.
const scopes = "repo, workflow"

// showRepositoryTo answers with the repository as the caller sees it.
func (s *Server) showRepositoryTo(w http.ResponseWriter, r *http.Request) {
	if !s.admit(w, r) {
		return
	}
	who := s.caller(r)
	if who == owner {
		w.Header().Set("X-OAuth-Scopes", scopes)
	}
	write(w, ok(s.showRepository(who)))
}

func (s *Server) showRepository(who caller) fields {
	at, web := "https://"+apiHost+"/repos/"+s.repository, "https://"+webHost+"/"+s.repository
	f := fields{"id": 1, "node_id": node("Repository", 1), "name": s.repository[len(s.ownerName())+1:], "full_name": s.repository, "owner": s.user(),
		"private": false, "fork": false, "archived": false, "disabled": false, "visibility": "public", "default_branch": "main",
		"description": nil, "homepage": nil, "language": nil, "license": nil, "mirror_url": nil, "size": 1,
		"created_at": s.stamp(), "updated_at": s.stamp(), "pushed_at": s.stamp(),
		"url": at, "html_url": web, "clone_url": web + ".git", "svn_url": web, "git_url": "git://" + webHost + "/" + s.repository + ".git",
		"ssh_url": "git@" + webHost + ":" + s.repository + ".git"}
	for _, name := range []string{"issues", "projects", "wiki", "pages", "downloads", "discussions"} {
		f["has_"+name] = false
	}
	for _, name := range []string{"forks", "forks_count", "network_count", "open_issues", "open_issues_count", "stargazers_count", "subscribers_count", "watchers", "watchers_count"} {
		f[name] = 0
	}
	for _, name := range []string{"archive", "assignees", "blobs", "branches", "collaborators", "comments", "commits", "compare", "contents", "contributors",
		"deployments", "downloads", "events", "forks", "git_commits", "git_refs", "git_tags", "hooks", "issue_comment", "issue_events", "issues", "keys",
		"labels", "languages", "merges", "milestones", "notifications", "pulls", "releases", "stargazers", "statuses", "subscribers", "subscription",
		"tags", "teams", "trees"} {
		f[name+"_url"] = at + "/" + name
	}
	if who == owner {
		f["permissions"] = fields{"admin": true, "maintain": true, "push": true, "triage": true, "pull": true}
	}
	return f
}
