package github

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The queries of GitHub's command line (gh 2.23, Debian 12's) that this server answers, however they are spaced: see
// normal. What they ask for is fixed, so nothing here reads GraphQL.
const (
	listReleasesQuery = "query RepositoryReleaseList($endCursor:String$name:String!$owner:String!$perPage:Int!)" +
		"{repository(owner:$owner name:$name){releases(first:$perPage orderBy:{field:CREATED_AT direction:DESC}" +
		"after:$endCursor){nodes{name tagName isDraft isLatest isPrerelease createdAt publishedAt}" +
		"pageInfo{hasNextPage endCursor}}}}"
	releaseByTagQuery = "query RepositoryReleaseByTag($name:String!$owner:String!$tagName:String!)" +
		"{repository(owner:$owner name:$name){release(tagName:$tagName){databaseId isDraft}}}"
	listPullsQuery = "fragment pr on PullRequest{number title state url headRefName headRepositoryOwner{id login" +
		"...on User{name}}isCrossRepository isDraft createdAt}query PullRequestList($owner:String!$repo:String!" +
		"$limit:Int!$endCursor:String$baseBranch:String$headBranch:String$state:[PullRequestState!]=OPEN)" +
		"{repository(owner:$owner name:$repo){pullRequests(states:$state baseRefName:$baseBranch headRefName:$headBranch " +
		"first:$limit after:$endCursor orderBy:{field:CREATED_AT direction:DESC}){totalCount nodes{...pr}" +
		"pageInfo{hasNextPage endCursor}}}}"
)

// asked are the variables of all three.
type asked struct {
	Owner, Name, Repo, TagName string
	EndCursor                  string
	PerPage, Limit             int
	State                      []string
	BaseBranch, HeadBranch     string
}

// graphQL answers POST /graphql, to those who say who they are.
func (s *Server) graphQL(w http.ResponseWriter, r *http.Request) {
	a := s.sender(r)
	switch {
	case r.UserAgent() == "" || a.Kind == impostor:
		write(w, fail(http.StatusUnauthorized, "Bad credentials"))
		return
	case a.Kind == nobody:
		write(w, fail(http.StatusUnauthorized, "This endpoint requires you to be authenticated."))
		return
	case !s.spend(w, a):
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		write(w, fail(http.StatusRequestEntityTooLarge, err.Error()))
		return
	}
	var in struct {
		Query     string
		Variables asked
	}
	if err := json.Unmarshal(body, &in); err != nil {
		write(w, fail(http.StatusBadRequest, "Problems parsing JSON"))
		return
	}
	r = withAsker(r, a)
	write(w, s.transact(func(st *state) *answer { return s.query(r, st, in.Query, in.Variables) }, false))
}

func (s *Server) query(r *http.Request, st *state, text string, in asked) *answer {
	name, field := in.Name, ""
	var answer any
	var wrong error
	switch normal(text) {
	case normal(listReleasesQuery):
		field = "releases"
		answer, wrong = s.queriedReleases(r, st, in)
	case normal(releaseByTagQuery):
		field, answer = "release", s.queriedRelease(r, st, in.TagName)
	case normal(listPullsQuery):
		name, field = in.Repo, "pullRequests"
		answer, wrong = s.queriedPulls(st, in)
	default:
		return unanswered(text)
	}
	switch {
	case in.Owner+"/"+name != s.repository:
		return queryFault("NOT_FOUND", "repository",
			fmt.Sprintf("Could not resolve to a Repository with the name '%s/%s'.", in.Owner, name))
	case wrong != nil:
		return queryFault("ARGUMENT_LIMIT", field, wrong.Error())
	}
	return ok(fields{"data": fields{"repository": fields{field: answer}}})
}

// queryFault is an error as GraphQL has them: with status 200.
func queryFault(kind, path, message string) *answer {
	return ok(fields{"data": fields{"repository": nil}, "errors": []any{fields{"type": kind, "path": []string{path},
		"locations": []any{fields{"line": 1, "column": 1}}, "message": message}}})
}

var (
	tokens    = regexp.MustCompile(`\.\.\.|\w+|[^\s,]`) // GraphQL has no meaning for white space and commas
	operation = regexp.MustCompile(`(?:query|mutation|subscription)\s*(\w*)`)
)

// normal is a query in one spelling: its tokens, with a space between each two.
func normal(query string) string { return strings.Join(tokens.FindAllString(query, -1), " ") }

// unanswered names the operation that is not one of ours.
func unanswered(query string) *answer {
	name := "without a name"
	if m := operation.FindStringSubmatch(query); m != nil && m[1] != "" {
		name = m[1]
	}
	return queryFault("NOT_IMPLEMENTED", "query "+name, "the local GitHub does not answer the query "+name+
		", or not with these fields; `gh release list`, `view`, `download` and `gh pr list` of gh 2.23 work")
}

func (s *Server) queriedReleases(r *http.Request, st *state, in asked) (any, error) {
	latest, nodes := st.latest(), []any{}
	for _, rel := range slices.Backward(st.Releases) { // the newest first
		if s.isLate(rel, readList) {
			rel = asBefore(rel)
		}
		if rel.Draft && !who(r).pushes() {
			continue
		}
		node := fields{"name": rel.Title, "tagName": rel.Tag, "isDraft": rel.Draft, "isPrerelease": rel.Prerelease,
			"isLatest": latest != nil && rel.ID == latest.ID, "createdAt": rel.CreatedAt, "publishedAt": nil}
		if !rel.Draft {
			node["publishedAt"] = rel.PublishedAt
		}
		nodes = append(nodes, node)
	}
	return connection(nodes, in.PerPage, in.EndCursor)
}

// queriedRelease finds a draft, too, for those who may push.
func (s *Server) queriedRelease(r *http.Request, st *state, tag string) any {
	rel := st.public(tag)
	if rel != nil && s.isLate(rel, readByTag) {
		rel = nil
	}
	if rel == nil && who(r).pushes() {
		if i := slices.IndexFunc(st.Releases, func(o *release) bool { return o.Tag == tag && o.Draft }); i >= 0 {
			rel = st.Releases[i]
		}
	}
	if rel == nil {
		return nil
	}
	return fields{"databaseId": rel.ID, "isDraft": rel.Draft}
}

func (s *Server) queriedPulls(st *state, in asked) (any, error) {
	states := in.State
	if len(states) == 0 {
		states = []string{"OPEN"} // the query's default
	}
	nodes := []any{}
	for _, p := range slices.Backward(st.Pulls) {
		is := strings.ToUpper(p.State)
		if p.Merged {
			is = "MERGED"
		}
		if !slices.Contains(states, is) || in.BaseBranch != "" && in.BaseBranch != p.Base ||
			in.HeadBranch != "" && in.HeadBranch != p.Head {
			continue
		}
		nodes = append(nodes, fields{"number": p.Number, "title": p.Title, "state": is, "createdAt": p.CreatedAt,
			"url": s.webURL("pull/%d", p.Number), "headRefName": p.Head, "isCrossRepository": false, "isDraft": false,
			"headRepositoryOwner": fields{"id": node("User", 1), "login": s.ownerName(), "name": s.ownerName()}})
	}
	list, err := connection(nodes, in.Limit, in.EndCursor)
	if err != nil {
		return nil, err
	}
	list["totalCount"] = len(nodes)
	return list, nil
}

// connection is a page of a list: the cursor of a node is its number, from 1.
func connection(nodes []any, first int, after string) (fields, error) {
	from := 0
	if after != "" {
		n, err := strconv.Atoi(after)
		if err != nil || n < 0 || n > len(nodes) {
			return nil, fmt.Errorf("`%s` does not appear to be a valid cursor", after)
		}
		from = n
	}
	if first < 1 || first > 100 {
		return nil, fmt.Errorf("`first` is %d: a page has 1 to 100 records", first)
	}
	to := min(from+first, len(nodes))
	info := fields{"hasNextPage": to < len(nodes), "endCursor": nil}
	if to > from {
		info["endCursor"] = strconv.Itoa(to)
	}
	return fields{"nodes": append([]any{}, nodes[from:to]...), "pageInfo": info}, nil
}
