package pipeline

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
)

// maxStaged bounds one staged file, in bytes.
const maxStaged = 2 << 30

// staged is a file that lies in a folder.
type staged struct {
	dir    string
	digest digest.Digest
}

// gather copies what is staged in the folders into dir, unless two of them, or
// dir itself, have other bytes under the same name.
func gather(dirs []string, dir string) error {
	chosen, err := stagedIn(dir)
	if err != nil {
		return err
	}
	there := maps.Clone(chosen)
	for _, from := range slices.Sorted(slices.Values(dirs)) {
		more, err := stagedIn(from)
		if err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(more)) {
			if have, ok := chosen[name]; ok && have.digest != more[name].digest {
				return fault.Mismatch(name+" is not the same in all jobs",
					have.digest.String()+" in "+have.dir, more[name].digest.String()+" in "+from)
			}
			chosen[name] = more[name]
		}
	}
	for _, name := range slices.Sorted(maps.Keys(chosen)) {
		if _, ok := there[name]; ok {
			continue
		}
		if err := copyFile(chosen[name].dir, dir, name); err != nil {
			return err
		}
	}
	return nil
}

// The report of a release, beside its ledger: it says what the ledger and the staged files say.
const (
	ReportPage = "report.html"
	ReportData = "report.json"
)

// stagedIn finds every file below dir, by its slash-separated path, but the ledger and the report.
func stagedIn(dir string) (map[string]staged, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	out := map[string]staged{}
	return out, fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || name == LedgerName || name == ReportPage || name == ReportData {
			return err
		}
		sum, err := stagedDigest(root, name, e)
		out[name] = staged{dir, sum}
		return err
	})
}

func stagedDigest(root *os.Root, name string, e fs.DirEntry) (sum digest.Digest, err error) {
	info, err := e.Info()
	if err != nil {
		return sum, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxStaged {
		return sum, fault.Mismatch(filepath.Join(root.Name(), name),
			fmt.Sprintf("a file of at most %d bytes", maxStaged), fmt.Sprintf("%s, %d bytes", info.Mode(), info.Size()))
	}
	f, err := root.Open(name)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	sum, _, err = digest.OfReader(io.LimitReader(f, maxStaged))
	return sum, err
}

func copyFile(from, to, name string) (err error) {
	root, err := os.OpenRoot(from)
	if err != nil {
		return err
	}
	defer root.Close()
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return file.From(filepath.Join(to, filepath.FromSlash(name)), f, 0o644)
}
