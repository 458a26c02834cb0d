package evidence

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Source is where the files lie: a checkout, or a branch on GitHub.
type Source interface {
	// Names lists the files of the folder; none when there is no folder.
	Names(ctx context.Context) ([]string, error)
	// Read is the content of one of them.
	Read(ctx context.Context, name string) ([]byte, error)
}

// Folder is a Source: the folder of a checkout.
type Folder struct{ fs.FS }

// Names lists the files of the folder.
func (f Folder) Names(context.Context) ([]string, error) {
	entries, err := fs.ReadDir(f.FS, ".")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []string
	for _, e := range entries {
		if !e.IsDir() {
			out = append(out, e.Name())
		}
	}
	return out, err
}

// Read is the content of a file of the folder.
func (f Folder) Read(_ context.Context, name string) ([]byte, error) { return fs.ReadFile(f.FS, name) }

// Tests reads the records of all tests of a node release, whichever key
// service it was tested with. A JSON file whose name says no pair is refused
// (code Verification), so that a misspelt one is not silently left out.
func Tests(ctx context.Context, from Source, node release.Tag) ([]*E2E, error) {
	names, err := from.Names(ctx)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", Dir, err)
	}
	var out []*E2E
	for _, name := range names {
		if !strings.HasSuffix(name, ".json") || name == SchemaFile {
			continue
		}
		_, version, ok := ParseName(name)
		if !ok {
			return nil, fault.Mismatch("unknown file in "+Dir, "{kms}--{node}.json, two versions", name)
		}
		if version != node.Version {
			continue
		}
		data, err := from.Read(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("read %s/%s: %w", Dir, name, err)
		}
		e, err := Decode(name, data)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}
