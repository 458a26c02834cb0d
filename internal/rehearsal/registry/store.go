package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/file"
)

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
		return entry{}, fmt.Errorf("registry: manifest %s of %s was changed on disk: it now has digest %s", want, repository, got)
	}
	return entry{manifest{repository, want}, mediaType, []byte(content)}, nil
}
