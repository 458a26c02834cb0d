package audit

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
)

// MaxAsset bounds one asset of a release, in bytes. GitHub's own limit is 2 GiB.
const MaxAsset = 2 << 30

const downloads = 8 // at once

// fetch streams the assets to disk and digests them on the way: each byte is read once.
func (a *auditor) fetch(ctx context.Context, src Source, assets []Asset) error {
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(downloads)
	for _, asset := range assets {
		g.Go(func() error {
			sum, err := fetchOne(ctx, src, asset, filepath.Join(a.dir, asset.Name))
			if err != nil {
				return fmt.Errorf("asset %s: %w", asset.Name, err)
			}
			mu.Lock()
			defer mu.Unlock()
			a.digests[asset.Name] = sum
			a.report.Digests[asset.Name] = sum.String()
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, asset := range assets {
		if got := a.report.Digests[asset.Name]; asset.Digest != "" && asset.Digest != got {
			a.add(check.Fail("asset "+asset.Name, fault.Verification, "the host lists another digest than it serves", asset.Digest, got))
		}
	}
	return nil
}

func fetchOne(ctx context.Context, src Source, asset Asset, path string) (digest.Digest, error) {
	h := sha256.New()
	err := file.Stream(path, 0o644, func(w io.Writer) error {
		return src.Fetch(ctx, asset.Name, &limited{w: io.MultiWriter(w, h), left: MaxAsset})
	})
	return digest.Digest(h.Sum(nil)), err
}

// limited refuses to write more than left bytes.
type limited struct {
	w    io.Writer
	left int64
}

func (l *limited) Write(p []byte) (int, error) {
	if int64(len(p)) > l.left {
		return 0, fmt.Errorf("larger than %d bytes", int64(MaxAsset))
	}
	l.left -= int64(len(p))
	return l.w.Write(p)
}

// read returns a fetched asset that is small enough to be parsed.
func (a *auditor) read(name string, limit int64) ([]byte, error) {
	if _, ok := a.digests[name]; !ok {
		return nil, &fault.Error{Code: fault.MissingAsset, Message: name + " is missing from the release"}
	}
	f, err := os.Open(filepath.Join(a.dir, name))
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // read only
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = &fault.Error{Code: fault.Verification, Message: name + " is too large", Expected: fmt.Sprintf("at most %d bytes", limit)}
	}
	return data, err
}
