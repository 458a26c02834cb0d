package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline"
)

// Merge takes what the jobs of a release did side by side into dist/{tag}. In
// from each job has a folder with its ledger and what it staged.
func Merge(ctx context.Context, tag, from string) error {
	return report("release:merge", merge(ctx, tag, from))
}

func merge(ctx context.Context, tag, from string) error {
	dirs, err := jobFolders(from)
	if err != nil {
		return err
	}
	return within(ctx, "release:merge", tag, func(s *session) error {
		if err := s.lane.Ledger.Merge(s.run.Graph, dirs); err != nil {
			return err
		}
		for _, dir := range dirs {
			s.console.Infof("merged %s", console.Path(dir))
		}
		return nil
	})
}

// jobFolders are the folders below from, or from itself when it is one job's.
func jobFolders(from string) ([]string, error) {
	_, err := os.Stat(filepath.Join(from, pipeline.LedgerName))
	if err == nil {
		return []string{from}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return nil, &fault.Error{Code: fault.Usage, Message: "the folder of the jobs", Err: err}
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() {
			out = append(out, filepath.Join(from, e.Name()))
		}
	}
	if len(out) == 0 {
		return nil, &fault.Error{Code: fault.MissingAsset, Message: "no job's ledger", Expected: "a folder for each job in " + console.Path(from), Got: "none"}
	}
	return out, nil
}
