package node

import (
	"context"
	"os"
	"path/filepath"

	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Images "makes" simulated images: there is nothing to them but their records.
type Images struct {
	Version release.Version
	Dir     string // for the program that records speak of
}

var _ image.Images = Images{}

// Content is the content id of the simulated image.
func (s Images) Content(_ context.Context, p release.Profile) (string, error) {
	return Image{Version: s.Version, Profile: p}.contentID(), nil
}

// Build returns the record.
func (s Images) Build(_ context.Context, o image.Order) (*image.Record, error) {
	return Image{Version: s.Version, Profile: o.Profile}.Record(o.Commit), o.Journal.Begin(journal.Image, o.Name)
}

// Discard has nothing to delete.
func (Images) Discard(context.Context, image.Order, bool) error { return nil }

// Programs is a folder with the one program.
func (s Images) Programs(context.Context, release.Profile) (string, error) {
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return "", err
	}
	return s.Dir, file.Write(filepath.Join(s.Dir, program), programBytes(), 0o755)
}

// Drift has no base image to compare.
func (Images) Drift(context.Context) (image.Drift, error) { return image.Drift{}, nil }
