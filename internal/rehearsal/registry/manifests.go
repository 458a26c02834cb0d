package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/file"
)

// maxManifest is what the distribution specification asks a registry to take at least.
const maxManifest = 4 << 20

// manifest names one manifest by tag or digest.
type manifest struct{ repository, reference string }

const pathComponent = `[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*`

// The grammars of the distribution specification, which also keep a name
// inside the folder that it becomes.
var (
	repositoryForm = regexp.MustCompile(`^` + pathComponent + `(?:/` + pathComponent + `)*$`)
	tagForm        = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
	digestForm     = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

func parseManifest(path string) (manifest, bool) {
	repository, reference, ok := strings.Cut(strings.TrimPrefix(path, "/v2/"), "/manifests/")
	return manifest{repository, reference}, ok
}

func (m manifest) valid() bool {
	return len(m.repository) < 256 && repositoryForm.MatchString(m.repository) &&
		(tagForm.MatchString(m.reference) || m.byDigest())
}

func (m manifest) byDigest() bool { return digestForm.MatchString(m.reference) }

func (m manifest) path() string { return "/v2/" + m.repository + "/manifests/" + m.reference }

// put lets the protocol judge a manifest, makes what it accepted durable, and
// only then answers.
func (r *Registry) put(w http.ResponseWriter, req *http.Request, m manifest) {
	content, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxManifest))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, "SIZE_INVALID",
			fmt.Sprintf("manifest of more than %d bytes", maxManifest))
		return
	}
	if !m.valid() {
		refuse(w, http.StatusBadRequest, "NAME_INVALID", "not a repository with a tag or digest")
		return
	}
	if m.byDigest() && digest.Of(content).String() != m.reference {
		refuse(w, http.StatusBadRequest, "DIGEST_INVALID", "manifest does not have the digest of its address")
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	req.Body = io.NopCloser(bytes.NewReader(content))
	answer := httptest.NewRecorder()
	r.protocol.ServeHTTP(answer, req)
	if answer.Code == http.StatusCreated {
		if err := r.store.put(m, req.Header.Get("Content-Type"), content); err != nil {
			refuse(w, http.StatusInternalServerError, "UNKNOWN", err.Error())
			return
		}
		if r.packages.create(m.repository) && r.options.Created != nil {
			r.options.Created(m.repository)
		}
	}
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes()) // the client went away: nothing to do
}

// replay puts every stored manifest back through the protocol: images before
// the indexes that need them, then tags.
func (r *Registry) replay() error {
	stored, err := r.store.load()
	if err != nil {
		return err
	}
	slices.SortStableFunc(stored, func(a, b entry) int { return a.rank() - b.rank() })
	for _, e := range stored {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPut, e.path(), bytes.NewReader(e.content))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", e.mediaType)
		answer := httptest.NewRecorder()
		r.protocol.ServeHTTP(answer, req)
		if answer.Code != http.StatusCreated {
			return fmt.Errorf("registry: stored manifest %s: %s", e.path(), strings.TrimSpace(answer.Body.String()))
		}
		r.packages.create(e.repository)
	}
	return nil
}

// store keeps manifests as files: {repository}/_digests/{hex} holds the media
// type on its first line and then the bytes, {repository}/_tags/{tag} holds a
// digest. No component of a repository's name begins with an underscore.
type store struct{ dir string }

const (
	digestsFolder = "_digests"
	tagsFolder    = "_tags"
)

// entry is one stored manifest under one name.
type entry struct {
	manifest
	mediaType string
	content   []byte
}

// rank orders entries so that each comes after what it refers to.
func (e entry) rank() int {
	switch {
	case !e.byDigest():
		return 2
	case types.MediaType(e.mediaType).IsIndex():
		return 1
	}
	return 0
}

func (s store) digestFile(repository, digest string) string {
	return filepath.Join(s.dir, filepath.FromSlash(repository), digestsFolder, strings.TrimPrefix(digest, "sha256:"))
}

func (s store) tagFile(repository, tag string) string {
	return filepath.Join(s.dir, filepath.FromSlash(repository), tagsFolder, tag)
}

func (s store) put(m manifest, mediaType string, content []byte) error {
	if strings.ContainsAny(mediaType, "\r\n") {
		return fmt.Errorf("media type %q has more than one line", mediaType)
	}
	sum := digest.Of(content).String()
	record := append([]byte(mediaType+"\n"), content...)
	if err := file.Write(s.digestFile(m.repository, sum), record, 0o644); err != nil {
		return err
	}
	if m.byDigest() {
		return nil
	}
	return file.Write(s.tagFile(m.repository, m.reference), []byte(sum+"\n"), 0o644)
}

// load reads everything and refuses what was changed on disk.
func (s store) load() ([]entry, error) {
	var out []entry
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == s.dir {
			return nil // nothing was ever pushed
		}
		if err != nil || d.IsDir() {
			return err
		}
		if strings.HasPrefix(d.Name(), ".") { // a write that a crash cut off; no tag or digest begins with a dot
			return os.Remove(path)
		}
		e, err := s.read(path)
		if err == nil {
			out = append(out, e)
		}
		return err
	})
	return out, err
}

func (s store) read(path string) (entry, error) {
	relative, err := filepath.Rel(s.dir, path)
	if err != nil {
		return entry{}, err
	}
	folder, name := filepath.Split(filepath.ToSlash(relative))
	if repository, ok := strings.CutSuffix(folder, "/"+tagsFolder+"/"); ok {
		digest, err := os.ReadFile(path)
		if err != nil {
			return entry{}, err
		}
		e, err := s.content(repository, strings.TrimSuffix(string(digest), "\n"))
		e.reference = name
		return e, err
	}
	if repository, ok := strings.CutSuffix(folder, "/"+digestsFolder+"/"); ok {
		return s.content(repository, "sha256:"+name)
	}
	return entry{}, fmt.Errorf("registry: %s is not a stored manifest", path)
}

func (s store) content(repository, want string) (entry, error) {
	if !digestForm.MatchString(want) {
		return entry{}, fmt.Errorf("registry: %s: %.80q is not a digest", repository, want)
	}
	record, err := os.ReadFile(s.digestFile(repository, want))
	if err != nil {
		return entry{}, err
	}
	mediaType, content, _ := strings.Cut(string(record), "\n")
	if got := digest.Of([]byte(content)).String(); got != want {
		return entry{}, fmt.Errorf("registry: manifest %s of %s was changed on disk: it now has digest %s",
			want, repository, got)
	}
	return entry{manifest{repository, want}, mediaType, []byte(content)}, nil
}
