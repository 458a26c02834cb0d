package publish

import (
	"io"
	"os"
	"path/filepath"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/github"
)

// staged hashes the plan's files; it never holds one in memory.
func staged(plan Plan) ([]github.File, error) {
	var files []github.File
	seen := map[string]bool{}
	for _, name := range plan.Names {
		if err := github.ValidAssetName(name); err != nil {
			return nil, err
		}
		if seen[name] {
			return nil, &fault.Error{Code: fault.Usage, Message: "an asset is planned twice", Got: name}
		}
		seen[name] = true
		f, err := stagedFile(filepath.Join(plan.Dir, name))
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

func stagedFile(path string) (github.File, error) {
	name := filepath.Base(path)
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return github.File{}, &fault.Error{Code: fault.MissingAsset, Message: "a staged asset is missing", Expected: "a file with content: " + name, Got: "none", Err: err}
	}
	sum, _, err := digest.OfFile(path)
	return github.File{Name: name, Size: info.Size(), Digest: sum.String(), ContentType: contentType(name),
		Open: func() (io.ReadCloser, error) { return os.Open(path) }}, err
}

func contentType(name string) string {
	switch filepath.Ext(name) {
	case ".json":
		return "application/json"
	case ".txt", ".sha256":
		return "text/plain; charset=utf-8"
	}
	return "application/octet-stream"
}
