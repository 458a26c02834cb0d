package registry

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/calimero-network/mero-tee/internal/base/file"
)

// packages are the repositories in which something was pushed. One is private
// until a person makes it public, which is a file in a folder of its name.
type packages struct {
	dir  string
	mu   sync.Mutex
	made map[string]bool
}

const publicFile = "_public" // no component of a name begins so

func (p *packages) file(repository string) string {
	return filepath.Join(p.dir, filepath.FromSlash(repository), publicFile)
}

// create says whether the package is new.
func (p *packages) create(repository string) (fresh bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fresh, p.made[repository] = !p.made[repository], true
	return fresh
}

func (p *packages) exists(repository string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.made[repository]
}

func (p *packages) public(repository string) bool {
	if !repositoryForm.MatchString(repository) || !p.exists(repository) {
		return false
	}
	_, err := os.Stat(p.file(repository))
	return err == nil
}

// MakePublic is what a person does on the package's settings page; GitHub's API has no call for it.
func (r *Registry) MakePublic(repository string) error {
	if !r.packages.exists(repository) {
		return fmt.Errorf("there is no package %q to make public", repository)
	}
	return file.Write(r.packages.file(repository), nil, 0o644)
}

// permit says whether the token is good for the request, or answers that it is not.
func (r *Registry) permit(w http.ResponseWriter, req *http.Request, g grant) bool {
	repository, named := repositoryOf(req.URL.Path)
	switch {
	case !named:
		return true
	case !reads(req) && g.Write:
		return true
	case !reads(req):
		refuse(w, http.StatusForbidden, "DENIED", "permission_denied: write_package")
		return false
	case r.visible(req, repository, g):
		return true
	}
	refuse(w, http.StatusForbidden, "DENIED", "denied")
	return false
}

// visible is false for a package that there is not, as for one that is private:
// who may not see it does not learn which. Whoever pushes may ask for blobs before there is a package.
func (r *Registry) visible(req *http.Request, repository string, g grant) bool {
	if r.packages.exists(repository) {
		return g.Read || r.packages.public(repository)
	}
	return g.Write && (r.options.Honest || strings.Contains(req.URL.Path, "/blobs/"))
}
