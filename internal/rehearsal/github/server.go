// Package github is a GitHub REST server for one repository that keeps
// everything on disk: releases, tags, branches with the files of a catalog or
// policy change, pull requests with their labels, what checks say of commits,
// and workflow runs with their approvals.
//
// Its promise: a client written for GitHub cannot tell it apart for the requests
// it serves (requests and answers are held to GitHub's OpenAPI description, field
// by field), each asset is a plain file in
// Dir/releases/<tag>/<asset> that is served as it is now, and a kill at any
// instant leaves a state that the next start continues.
package github

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/calimero-network/mero-tee/internal/rehearsal/github/openapi"
	"github.com/calimero-network/mero-tee/internal/rehearsal/github/pages"
)

// Production's host names; the handler tells them apart by the Host header.
const (
	apiHost     = "api.github.com"
	uploadHost  = "uploads.github.com"
	webHost     = "github.com"
	storageHost = "release-assets.githubusercontent.com"
	rawHost     = "raw.githubusercontent.com"
)

// apiVersion is the one whose description the answers are held to.
const apiVersion = "2022-11-28"

// Hosts lists the production host names that a Server answers for.
func Hosts() []string { return []string{apiHost, uploadHost, webHost, storageHost, rawHost} }

// Options configures a Server.
type Options struct {
	Dir        string           // created when missing; holds state.json, releases/ and incoming/
	Repository string           // "owner/name"
	Token      string           // of the repository's owner, a classic one with the scopes repo and workflow
	Now        func() time.Time // nil: time.Now
	// ActionsOpenPulls is the repository's setting "Allow GitHub Actions to create and approve pull requests".
	ActionsOpenPulls bool
	Prompt           bool // what was published is read at once, which GitHub does not promise
	PerHour          int  // requests of each kind of token; 0: as many as GitHub's
	PageAssets       int  // assets that a page of releases may list before it times out; 0: 1000
	// Settings are the rules and environments from the start; Change changes them.
	Settings Settings
}

// Server is an http.Handler for the five hosts. One process at a time may write
// to its folder.
type Server struct {
	dir, repository  string
	owner            string // the owner's token
	now              func() time.Time
	mux              *http.ServeMux
	site             *pages.Site
	description      *openapi.Description
	actionsOpenPulls bool
	key              []byte           // signs the object store's addresses, as long as the process lives
	mu               sync.Mutex       // guards the folder and what follows
	tokens           map[string]asker // by the token's digest
	known            []byte           // state.json as it was judged or written last
	prompt           bool
	perHour          int
	pageAssets       int
	late             map[int64]map[string]int // late reads that are left, by release and kind
	ending           map[int64]int            // reads until a check that runs succeeds, by its id
	settings         Settings
	quotas           map[kind]*quota
}

// New opens or creates the folder and discards uploads that broke off.
func New(o Options) (*Server, error) {
	owner, name, ok := strings.Cut(o.Repository, "/")
	if !ok || !plainName(owner) || !plainName(name) || o.Token == "" {
		return nil, errors.New("a repository owner/name and a token are needed")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{dir: o.Dir, repository: o.Repository, owner: o.Token, now: o.Now, key: make([]byte, 32),
		actionsOpenPulls: o.ActionsOpenPulls, prompt: o.Prompt, perHour: o.PerHour,
		pageAssets: cmp.Or(o.PageAssets, maxListed),
		late:       map[int64]map[string]int{}, quotas: map[kind]*quota{}, ending: map[int64]int{}, settings: o.Settings}
	if _, err := rand.Read(s.key); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(s.incoming()); err != nil {
		return nil, err
	}
	for _, dir := range []string{s.incoming(), filepath.Join(s.dir, "releases")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	if _, err := s.load(); err != nil {
		return nil, err
	}
	if err := s.loadTokens(); err != nil {
		return nil, err
	}
	s.tokens[hashed(o.Token)] = asker{Kind: classic, Scopes: []string{"repo", "workflow"}}
	var err error
	if s.description, err = openapi.Read(); err != nil {
		return nil, err
	}
	if s.site, err = pages.New(s.repository); err != nil {
		return nil, err
	}
	s.mux = s.routes()
	return s, nil
}

func (s *Server) incoming() string { return filepath.Join(s.dir, "incoming") }

// ServeHTTP answers for all five hosts.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	api := func(method, path string, n need, h handler) {
		mux.Handle(method+" "+apiHost+"/repos/{owner}/{repo}/"+path, s.api(n, h))
	}
	api("GET", "releases", none, s.listReleases)
	api("POST", "releases", writeContents, s.createRelease)
	api("GET", "releases/latest", none, s.latestRelease)
	api("GET", "releases/{id}", none, s.getRelease)
	api("PATCH", "releases/{id}", writeContents, s.updateRelease)
	api("GET", "releases/{kind}/{id}", none, s.belowReleases)
	api("DELETE", "releases/assets/{id}", writeContents, s.deleteAsset)
	api("GET", "tags", none, s.listTags)
	api("GET", "git/ref/{ref...}", none, s.getRef)
	api("POST", "git/refs", writeContents, s.createRef)
	api("DELETE", "git/refs/{ref...}", writeContents, s.deleteRef)
	api("PATCH", "git/refs/{ref...}", writeContents, s.updateRef)
	api("GET", "git/trees/{sha...}", none, s.getTree)
	api("POST", "git/trees", writeContents, s.createTree)
	api("GET", "git/blobs/{sha}", none, s.getBlob)
	api("POST", "git/commits", writeContents, s.createCommit)
	api("GET", "git/commits/{sha}", none, s.getCommit)
	api("GET", "git/tags/{sha}", none, s.getTagObject)
	api("POST", "git/tags", writeContents, s.createTagObject)
	api("GET", "contents/{path...}", none, s.getContent)
	api("PUT", "contents/{path...}", writeContents, s.putContent)
	api("GET", "commits/{ref}/check-runs", readChecks, s.listChecks)
	api("GET", "commits/{ref}/statuses", readStatuses, s.listStatuses)
	api("POST", "statuses/{sha}", writeStatuses, s.createStatus)
	api("GET", "rules/branches/{branch}", none, s.listRules)
	api("GET", "compare/{basehead}", readContents, s.compare)
	api("GET", "actions/runs/{run}", readActions, s.getRun)
	api("GET", "actions/runs/{run}/approvals", readActions, s.listReviews)
	api("GET", "environments/{environment}", readActions, s.getEnvironment)
	api("GET", "pulls", none, s.listPulls)
	api("POST", "pulls", writePullRequests, s.createPull)
	api("POST", "issues/{number}/labels", none, s.addLabels)
	s.otherRoutes(mux)
	return mux
}

// otherRoutes are those that are no path of the API below a repository.
func (s *Server) otherRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET "+apiHost+"/repos/{owner}/{repo}", s.showRepositoryTo)
	mux.HandleFunc("POST "+apiHost+"/graphql", s.graphQL)
	for _, host := range []string{apiHost, uploadHost} {
		mux.HandleFunc(host+"/", func(w http.ResponseWriter, _ *http.Request) { write(w, missing) })
	}
	mux.HandleFunc("POST "+uploadHost+"/repos/{owner}/{repo}/releases/{id}/assets", s.upload)
	mux.HandleFunc("GET "+webHost+"/{owner}/{repo}/releases/download/{tag}/{name}", s.browserDownload)
	s.webRoutes(mux, webHost)
	mux.HandleFunc("GET "+rawHost+"/{owner}/{repo}/{ref}/{path...}", s.raw)
	mux.HandleFunc("GET "+storageHost+"/github-production-release-asset/{id}", s.store)
}

// belowReleases tells releases/tags/{tag}, releases/assets/{id} and
// releases/{id}/assets apart, which ServeMux takes for a conflict.
func (s *Server) belowReleases(r *http.Request, st *state) *answer {
	kind, id := r.PathValue("kind"), r.PathValue("id")
	switch {
	case kind == "tags":
		return s.releaseByTag(id, st)
	case kind == "assets":
		return s.getAsset(r, st)
	case id == "assets":
		r.SetPathValue("id", kind)
		return s.listAssets(r, st)
	}
	return missing
}

const maxRequest = 4 << 20 // bytes of a JSON request

// answer is what a handler says; body is rendered as JSON unless nil.
type answer struct {
	status   int
	body     any
	link     string // the Link header of a page
	location string
	header   http.Header
}

// with is the answer with one more header.
func (a answer) with(name, value string) *answer {
	a.header = a.header.Clone()
	if a.header == nil {
		a.header = http.Header{}
	}
	a.header.Set(name, value)
	return &a
}

// handler reads and changes the state; what it changed is kept when its answer is a success.
type handler func(r *http.Request, st *state) *answer

func (s *Server) api(n need, h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r = s.admit(w, r, n); r == nil {
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
		if err != nil {
			write(w, fail(http.StatusRequestEntityTooLarge, err.Error()))
			return
		}
		if wrong := s.description.Request(r, body); len(wrong) > 0 {
			write(w, fail(http.StatusUnprocessableEntity, "Invalid request.\n\n"+strings.Join(wrong, "; ")))
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		s.reply(w, r, s.transact(func(st *state) *answer { return h(r, st) }, r.Method != http.MethodGet))
	})
}

// reply is write for an answer of the API, which has to be as GitHub describes it.
func (s *Server) reply(w http.ResponseWriter, r *http.Request, a *answer) {
	data, err := json.Marshal(a.body)
	if err != nil {
		write(w, fail(http.StatusInternalServerError, err.Error()))
		return
	}
	if wrong := s.description.Answer(r, a.status, data); len(wrong) > 0 {
		a = fail(http.StatusInternalServerError, "the local GitHub's answer is not as GitHub describes it: "+
			strings.Join(wrong, "; "))
	}
	write(w, a)
}

// transact runs h between reading and writing state.json.
func (s *Server) transact(h func(*state) *answer, writes bool) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.load()
	if err != nil {
		return fail(http.StatusInternalServerError, err.Error())
	}
	a := h(st)
	if !writes || a.status >= http.StatusBadRequest {
		return a
	}
	if err := s.save(st); err != nil {
		return fail(http.StatusInternalServerError, err.Error())
	}
	return a
}

func write(w http.ResponseWriter, a *answer) {
	maps.Copy(w.Header(), a.header)
	if a.link != "" {
		w.Header().Set("Link", a.link)
	}
	if a.location != "" {
		w.Header().Set("Location", a.location)
	}
	if a.body == nil {
		w.WriteHeader(a.status)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(a.status)
	_ = json.NewEncoder(w).Encode(a.body) // the client has gone; nothing to do
}

func ok(body any) *answer      { return &answer{status: http.StatusOK, body: body} }
func created(body any) *answer { return &answer{status: http.StatusCreated, body: body} }

const documentation = "https://docs.github.com/rest"

var missing = fail(http.StatusNotFound, "Not Found")

func fail(status int, message string) *answer {
	return &answer{status: status, body: fields{"message": message, "documentation_url": documentation,
		"status": strconv.Itoa(status)}}
}

// invalid is GitHub's 422 with one entry; code "custom" carries a message.
func invalid(resource, field, code, message string) *answer {
	entry := fields{"resource": resource, "field": field, "code": code}
	if message != "" {
		entry["message"] = message
	}
	a := fail(http.StatusUnprocessableEntity, "Validation Failed")
	a.body.(fields)["errors"] = []any{entry}
	return a
}

// unauthorized is GitHub's 403 that names what the asker may not change.
func unauthorized(message, resource, field string) *answer {
	a := fail(http.StatusForbidden, message)
	a.body.(fields)["errors"] = []any{fields{"resource": resource, "field": field, "code": "unauthorized"}}
	return a
}

// decode reads a JSON request; the answer is nil when it is well formed.
func decode(r *http.Request, into any) *answer {
	err := json.NewDecoder(r.Body).Decode(into)
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong):
		return fail(http.StatusUnprocessableEntity, fmt.Sprintf("Invalid request.\n\nFor 'properties/%s', %s is not a %s.",
			wrong.Field, wrong.Value, wrong.Type))
	}
	return fail(http.StatusBadRequest, "Problems parsing JSON")
}

// page cuts a list as ?per_page and ?page say and links the next one.
func page(r *http.Request, all []any) *answer {
	query := r.URL.Query()
	size, err := strconv.Atoi(query.Get("per_page"))
	if err != nil || size < 1 {
		size = 30
	}
	size = min(size, 100)
	number, err := strconv.Atoi(query.Get("page"))
	if err != nil || number < 1 || number > len(all)+1 {
		number = 1
	}
	from, to := min((number-1)*size, len(all)), min(number*size, len(all))
	a := ok(append([]any{}, all[from:to]...))
	if to < len(all) {
		query.Set("page", strconv.Itoa(number+1))
		a.link = fmt.Sprintf(`<https://%s%s?%s>; rel="next"`, apiHost, r.URL.EscapedPath(), query.Encode())
	}
	return a
}

// commandLine says that GitHub's own command line asks, which names no version of the API.
func commandLine(r *http.Request) bool {
	return strings.HasPrefix(r.UserAgent(), "GitHub CLI ") && r.Header.Get("X-GitHub-Api-Version") == ""
}

// admit answers those who may not go on; the request that it returns knows its
// asker, and is nil when there is nothing more to answer.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, n need) *http.Request {
	a := s.sender(r)
	if a.Kind == classic {
		w.Header().Set("X-OAuth-Scopes", strings.Join(a.Scopes, ", "))
	}
	api := r.Host == apiHost || r.Host == uploadHost
	switch {
	case r.UserAgent() == "":
		write(w, fail(http.StatusForbidden,
			"Request forbidden by administrative rules. Please make sure your request has a User-Agent header."))
	case api && r.Header.Get("X-GitHub-Api-Version") != apiVersion && !commandLine(r):
		write(w, fail(http.StatusBadRequest, "X-GitHub-Api-Version: this server knows "+apiVersion))
	case a.Kind == impostor:
		write(w, fail(http.StatusUnauthorized, "Bad credentials"))
	case api && !s.spend(w, a):
	case r.PathValue("owner")+"/"+r.PathValue("repo") != s.repository:
		write(w, missing)
	case !a.may(n):
		write(w, a.refuse(n))
	default:
		return withAsker(r, a)
	}
	return nil
}
