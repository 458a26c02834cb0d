package github

import "net/http"

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
