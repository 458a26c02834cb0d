package registry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/digest"
)

// maxManifest is what the distribution specification asks a registry to take at least.
const maxManifest = 4 << 20

// manifest names one manifest by tag or digest.
type manifest struct{ repository, reference string }

// The grammars of the distribution specification, which also keep a name
// inside the folder that it becomes.
var (
	repositoryForm = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
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
		refuse(w, http.StatusRequestEntityTooLarge, "SIZE_INVALID", fmt.Sprintf("manifest of more than %d bytes", maxManifest))
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
	}
	return nil
}
