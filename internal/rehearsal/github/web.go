package github

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/calimero-network/mero-tee/internal/rehearsal/github/pages"
)

// view finds what a page shows; false when there is no such page. It changes
// nothing: whoever looks uses up neither requests nor late reads.
type view func(r *http.Request, st *state) (pages.Page, bool)

// views are the pages for people, by their paths below the repository's.
func (s *Server) views() map[string]view {
	return map[string]view{
		"releases": s.releasesView, "releases/tag/{tag}": s.releaseView, "tags": tagsView,
		"pulls": pullsView, "pull/{number}": pullView, "commit/{ref...}": commitView,
		"actions/runs/{run}": runView, "blob/{ref}/{path...}": sourceView,
	}
}

// webRoutes answers for the pages under github.com's own name.
func (s *Server) webRoutes(mux *http.ServeMux, host string) {
	page := func(path string, h http.HandlerFunc) {
		mux.HandleFunc("GET "+host+"/{owner}/{repo}/"+path, func(w http.ResponseWriter, r *http.Request) {
			if r.PathValue("owner")+"/"+r.PathValue("repo") != s.repository {
				s.noPage(w, r)
			} else if r = s.admit(w, r, none); r != nil {
				h(w, r)
			}
		})
	}
	for path, v := range s.views() {
		page(path, func(w http.ResponseWriter, r *http.Request) { s.look(w, r, v) })
	}
	page("releases/latest", func(w http.ResponseWriter, r *http.Request) { s.lead(w, r, latestPath) })
	page("runs/{id}", func(w http.ResponseWriter, r *http.Request) { s.lead(w, r, checkPath) })
}

// Browser serves the pages and the assets of public releases, for a browser on
// this machine that asks for one of these hosts ("127.0.0.1:8080"). A request
// for any other host is refused, as one is that another site's name led here.
func (s *Server) Browser(hosts ...string) http.Handler {
	mux := http.NewServeMux()
	s.webRoutes(mux, "")
	mux.HandleFunc("GET /"+s.repository+"/releases/download/{tag}/{name}", s.download)
	home := http.RedirectHandler("/"+s.repository+"/releases", http.StatusFound)
	mux.Handle("GET /{$}", home)
	mux.Handle("GET /"+s.repository, home)
	mux.Handle("GET /"+s.repository+"/{$}", home)
	mux.HandleFunc("/", s.noPage)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.site.Guard(w.Header())
		switch {
		case !slices.Contains(hosts, r.Host):
			http.Error(w, "this is not the host that the request is for", http.StatusMisdirectedRequest)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "the pages are only looked at", http.StatusMethodNotAllowed)
		default:
			mux.ServeHTTP(w, r)
		}
	})
}

// look answers with a page.
func (s *Server) look(w http.ResponseWriter, r *http.Request, v view) {
	var page pages.Page
	found := s.transact(func(st *state) *answer {
		var there bool
		if page, there = v(r, st); !there {
			return missing
		}
		return ok(nil)
	}, false)
	switch found.status {
	case http.StatusOK:
		s.site.Write(w, http.StatusOK, page)
	case http.StatusNotFound:
		s.noPage(w, r)
	default:
		write(w, found)
	}
}

func (s *Server) noPage(w http.ResponseWriter, r *http.Request) {
	s.site.Write(w, http.StatusNotFound, pages.Page{Title: "Not found", Content: pages.Missing{Path: r.URL.Path}})
}

// lead answers with another page's address.
func (s *Server) lead(w http.ResponseWriter, r *http.Request, to func(*http.Request, *state) (string, bool)) {
	found := s.transact(func(st *state) *answer {
		path, there := to(r, st)
		if !there {
			return missing
		}
		return &answer{status: http.StatusFound, location: "/" + s.repository + "/" + path}
	}, false)
	if found.status == http.StatusNotFound {
		s.noPage(w, r)
		return
	}
	write(w, found)
}

// download gives a public release's asset to a browser, which keeps it and shows nothing of it.
func (s *Server) download(w http.ResponseWriter, r *http.Request) {
	var asset int64
	_ = s.transact(func(st *state) *answer {
		rel := st.public(r.PathValue("tag"))
		if rel == nil {
			return missing
		}
		for _, a := range rel.Assets {
			if a.Name == r.PathValue("name") && a.State == "uploaded" {
				asset = a.ID
			}
		}
		return ok(nil)
	}, false)
	f, a, info, err := s.opened(strconv.FormatInt(asset, 10)) // no asset has the id 0
	if err != nil {
		s.noPage(w, r)
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", `attachment; filename="`+a.Name+`"`) // a plain name
	http.ServeContent(w, r, "", info.ModTime(), f)
}
