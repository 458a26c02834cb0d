package github

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/digest"
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

	Labels []string `json:"labels,omitempty"`
}

func (s *Server) load() (*state, error) {
	st := &state{}
	data, err := os.ReadFile(filepath.Join(s.dir, "state.json"))
	if err == nil {
		err = canonical.Unmarshal(data, st)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if st.Refs == nil {
		st.Refs, st.TagObjects, st.Commits = map[string]object{}, map[string]annotation{}, map[string]commit{}
	}
	if st.Trees == nil {
		st.Trees = map[string]map[string][]byte{}
	}
	if st.Labels == nil {
		st.Labels = map[string]int64{}
	}
	return st, nil
}

func (s *Server) save(st *state) error {
	data, err := canonical.Marshal(st)
	if err != nil {
		return err
	}
	return file.Write(filepath.Join(s.dir, "state.json"), data, 0o644)
}

func (st *state) next() int64 { st.Sequence++; return st.Sequence }

func (s *Server) stamp() string { return s.now().UTC().Format(time.RFC3339) }

// release finds a release by the id in the request, hiding drafts from strangers.
func (s *Server) release(st *state, id string, who caller) *release {
	n, err := strconv.ParseInt(id, 10, 64)
	for _, rel := range st.Releases {
		if err == nil && rel.ID == n && (!rel.Draft || who == owner) {
			return rel
		}
	}
	return nil
}

func (s *Server) asset(st *state, id string, who caller) (*release, *asset) {
	n, err := strconv.ParseInt(id, 10, 64)
	for _, rel := range st.Releases {
		for _, a := range rel.Assets {
			if err == nil && a.ID == n && (!rel.Draft || who == owner) {
				return rel, a
			}
		}
	}
	return nil, nil
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$`)

// plainName admits what is safe as the name of a file or folder. Tags with a
// slash, which git and GitHub know, are refused here.
func plainName(s string) bool {
	return nameForm.MatchString(s) && !strings.HasSuffix(s, ".")
}

// digests remembers SHA-256 sums for as long as a file's size and time stay.
type digests struct {
	mu    sync.Mutex
	known map[string]known
}

// racy is how young a file must be for a change within one tick of the file
// system's clock to go unnoticed (git calls such an index entry racy).
const racy = 2 * time.Second

type known struct {
	size  int64
	mtime time.Time
	sum   string
}

// of returns size and "sha256:…" of a regular file, and false when there is none.
func (d *digests) of(path string) (int64, string, bool) {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() {
		return 0, "", false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if k, ok := d.known[path]; ok && k.size == info.Size() && k.mtime.Equal(info.ModTime()) {
		return k.size, k.sum, true
	}
	sum, n, err := digest.OfFile(path)
	if err != nil {
		return 0, "", false
	}
	if d.known == nil {
		d.known = map[string]known{}
	}
	if time.Since(info.ModTime()) > racy {
		d.known[path] = known{n, info.ModTime(), sum.String()}
	}
	return n, sum.String(), true
}
