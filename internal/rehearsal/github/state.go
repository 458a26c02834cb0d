package github

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/file"
)

// state is everything but the assets' bytes: Dir/state.json.
type state struct {
	Sequence   int64                 `json:"sequence"` // the last id given out; GitHub never reuses one
	LatestID   int64                 `json:"latest_release"`
	Releases   []*release            `json:"releases"`
	Refs       map[string]object     `json:"refs"` // by full name, "refs/tags/v1"
	TagObjects map[string]annotation `json:"tag_objects"`
	Commits    map[string]commit     `json:"commits"`
	Pulls      []*pull               `json:"pulls"`

	Trees  map[string]map[string][]byte `json:"trees,omitempty"`  // made through the API; a commit's own need no entry
	Labels map[string]int64             `json:"labels,omitempty"` // ids by name

	Checks   []*checkRun    `json:"checks,omitempty"`   // the oldest first
	Statuses []*status      `json:"statuses,omitempty"` // likewise
	Runs     []*workflowRun `json:"runs,omitempty"`     // likewise
}

type release struct {
	ID          int64    `json:"id"`
	Tag         string   `json:"tag_name"`
	Target      string   `json:"target_commitish"`
	Title       string   `json:"name"`
	Body        string   `json:"body"`
	Draft       bool     `json:"draft"`
	Prerelease  bool     `json:"prerelease"`
	CreatedAt   string   `json:"created_at"`
	PublishedAt string   `json:"published_at"` // empty in a draft
	Folder      string   `json:"folder"`       // below releases/
	Assets      []*asset `json:"assets"`
}

type asset struct {
	ID          int64  `json:"id"`
	Name        string `json:"name"`
	ContentType string `json:"content_type"`
	State       string `json:"state"`
	CreatedAt   string `json:"created_at"`
}

type object struct {
	Type string `json:"type"` // "commit" or "tag"
	SHA  string `json:"sha"`
}

type annotation struct {
	Tag     string `json:"tag"`
	Message string `json:"message"`
	Object  object `json:"object"`
	Date    string `json:"date"`
}

// commit holds the few files that are ever read or changed through the API.
type commit struct {
	Parent  string            `json:"parent"`
	Merged  string            `json:"merged,omitempty"` // the second parent of a merge
	Message string            `json:"message"`
	Files   map[string][]byte `json:"files"`
}

type pull struct {
	Number    int64  `json:"number"`
	Title     string `json:"title"`
	Body      string `json:"body"`
	Head      string `json:"head"` // branch
	Base      string `json:"base"`
	State     string `json:"state"`
	CreatedAt string `json:"created_at"`
	ClosedAt  string `json:"closed_at,omitempty"`
	Merged    bool   `json:"merged,omitempty"`

	Labels  []string `json:"labels,omitempty"`
	Checked bool     `json:"checked,omitempty"` // it started the checks
}

func (s *Server) load() (*state, error) {
	st := &state{Refs: map[string]object{}, TagObjects: map[string]annotation{}, Commits: map[string]commit{},
		Trees: map[string]map[string][]byte{}, Labels: map[string]int64{}}
	data, err := os.ReadFile(filepath.Join(s.dir, "state.json"))
	switch {
	case err != nil:
	case bytes.Equal(data, s.known): // judged before: half of a release's time at GitHub went into judging it again
		err = json.Unmarshal(data, st)
	default:
		if err = canonical.Unmarshal(data, st); err == nil {
			s.known = data
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return st, nil
}

func (s *Server) save(st *state) error {
	data, err := canonical.Marshal(st)
	if err != nil {
		return err
	}
	if err := file.Write(filepath.Join(s.dir, "state.json"), data, 0o644); err != nil {
		return err
	}
	s.known = data
	return nil
}

func (st *state) next() int64 { st.Sequence++; return st.Sequence }

func (s *Server) stamp() string { return s.now().UTC().Format(time.RFC3339) }

// release finds a release by the id in the request, hiding drafts from those who may not push.
func (st *state) release(id string, a asker) *release {
	n, err := strconv.ParseInt(id, 10, 64)
	for _, rel := range st.Releases {
		if err == nil && rel.ID == n && (!rel.Draft || a.pushes()) {
			return rel
		}
	}
	return nil
}

// asset finds an asset by its id, a draft's too.
func (st *state) asset(id int64) (*release, *asset) {
	for _, rel := range st.Releases {
		for _, a := range rel.Assets {
			if a.ID == id {
				return rel, a
			}
		}
	}
	return nil, nil
}

// assetFor finds the asset of a request, hiding those of drafts as release does.
func (st *state) assetFor(r *http.Request) (*release, *asset) {
	n, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return nil, nil
	}
	rel, a := st.asset(n)
	if rel == nil || rel.Draft && !who(r).pushes() {
		return nil, nil
	}
	return rel, a
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$`)

// plainName admits what is safe as the name of a file or folder. Tags with a
// slash, which git and GitHub know, are refused here.
func plainName(s string) bool {
	return nameForm.MatchString(s) && !strings.HasSuffix(s, ".")
}
