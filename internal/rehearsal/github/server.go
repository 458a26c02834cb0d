// Package github is a GitHub REST server for one repository that keeps
// everything on disk: releases, tags, branches with the files of a catalog or
// policy change, and pull requests with their labels.
//
// Its promise: a client written for GitHub cannot tell it apart for the requests
// it serves (their answers hold every top-level field that GitHub's OpenAPI
// description requires), each asset is a plain file in
// Dir/releases/<tag>/<asset> that is served as it is now, and a kill at any
// instant leaves a state that the next start continues.
package github

import (
	"crypto/rand"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Production's host names; the handler tells them apart by the Host header.
const (
	apiHost     = "api.github.com"
	uploadHost  = "uploads.github.com"
	webHost     = "github.com"
	storageHost = "release-assets.githubusercontent.com"
	rawHost     = "raw.githubusercontent.com"
)

// Hosts lists the production host names that a Server answers for.
func Hosts() []string { return []string{apiHost, uploadHost, webHost, storageHost, rawHost} }

// Options configures a Server.
type Options struct {
	Dir        string           // created when missing; holds state.json, releases/ and incoming/
	Repository string           // "owner/name"
	Token      string           // needed to write and to see drafts
	Now        func() time.Time // nil: time.Now
}

// Server is an http.Handler for the five hosts. One process at a time may write
// to its folder.
type Server struct {
	dir, repository, token string
	now                    func() time.Time
	mux                    *http.ServeMux
	key                    []byte // signs the object store's addresses, as long as the process lives
	sums                   digests
	mu                     sync.Mutex // guards state.json from its reading to its writing
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
	s := &Server{dir: o.Dir, repository: o.Repository, token: o.Token, now: o.Now, key: make([]byte, 32)}
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
	s.mux = s.routes()
	return s, nil
}

func (s *Server) incoming() string { return filepath.Join(s.dir, "incoming") }

// ServeHTTP answers for all five hosts.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	api := func(method, path string, h handler) {
		mux.Handle(method+" "+apiHost+"/repos/{owner}/{repo}/"+path, s.api(h))
	}
	api("GET", "releases", s.listReleases)
	api("POST", "releases", s.createRelease)
	api("GET", "releases/latest", s.latestRelease)
	api("GET", "releases/{id}", s.getRelease)
	api("PATCH", "releases/{id}", s.updateRelease)
	api("GET", "releases/{kind}/{id}", s.belowReleases)
	api("DELETE", "releases/assets/{id}", s.deleteAsset)
	api("GET", "tags", s.listTags)
	api("GET", "git/ref/{ref...}", s.getRef)
	api("POST", "git/refs", s.createRef)
	api("DELETE", "git/refs/{ref...}", s.deleteRef)
	api("PATCH", "git/refs/{ref...}", s.updateRef)
	api("POST", "git/trees", s.createTree)
	api("POST", "git/commits", s.createCommit)
	api("GET", "git/commits/{sha}", s.getCommit)
	api("GET", "git/tags/{sha}", s.getTagObject)
	api("POST", "git/tags", s.createTagObject)
	api("GET", "contents/{path...}", s.getContent)
	api("PUT", "contents/{path...}", s.putContent)
	api("GET", "pulls", s.listPulls)
	api("POST", "pulls", s.createPull)
	api("POST", "issues/{number}/labels", s.addLabels)
	mux.HandleFunc("GET "+apiHost+"/repos/{owner}/{repo}", s.showRepositoryTo)
	mux.HandleFunc("POST "+uploadHost+"/repos/{owner}/{repo}/releases/{id}/assets", s.upload)
	mux.HandleFunc("GET "+webHost+"/{owner}/{repo}/releases/download/{tag}/{name}", s.browserDownload)
	mux.HandleFunc("GET "+rawHost+"/{owner}/{repo}/{ref}/{path...}", s.raw)
	mux.HandleFunc("GET "+storageHost+"/github-production-release-asset/{id}", s.store)
	return mux
}

// belowReleases tells releases/tags/{tag}, releases/assets/{id} and
// releases/{id}/assets apart, which ServeMux takes for a conflict.
func (s *Server) belowReleases(r *http.Request, st *state) answer {
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
