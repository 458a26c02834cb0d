package audit

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/calimero-network/mero-tee/internal/artifact/sbom"
	"github.com/calimero-network/mero-tee/internal/artifact/signature"
	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Folder is a release that lies in a folder: the staged assets of a
// publisher, or what somebody downloaded by other means.
type Folder struct{ Dir string }

// Assets lists the regular files of the folder. A symbolic link is not listed,
// nor is a hidden file: no release has one.
func (f Folder) Assets(context.Context) ([]Asset, error) {
	entries, err := os.ReadDir(f.Dir)
	if err != nil {
		return nil, err
	}
	var out []Asset
	for _, e := range entries {
		if info, err := e.Info(); err == nil && e.Type().IsRegular() && e.Name()[0] != '.' {
			out = append(out, Asset{Name: e.Name(), Size: info.Size()})
		}
	}
	return out, nil
}

// Fetch copies one file.
func (f Folder) Fetch(_ context.Context, name string, w io.Writer) error {
	root, err := os.OpenRoot(f.Dir)
	if err != nil {
		return err
	}
	defer root.Close()
	file, err := root.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(w, file)
	return err
}

// limit is how large an asset may be, in bytes. Whatever is larger was not made
// by a release of ours, and is not fetched.
func limit(name string) int64 {
	switch {
	case strings.HasSuffix(name, release.BundleSuffix):
		return signature.MaxBundleSize
	case name == release.SBOMAsset:
		return sbom.MaxSize // by far the largest asset
	}
	return canonical.MaxSize
}

const downloads = 8 // at once

// fetch streams the assets to disk and digests them on the way: each byte is
// read once. One that is too large, or is listed so, is a finding and no more.
func (a *auditor) fetch(ctx context.Context, src Source, assets []Asset) error {
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(downloads)
	for _, asset := range assets {
		g.Go(func() error {
			sum, err := fetchOne(ctx, src, asset, filepath.Join(a.dir, asset.Name))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, errOversized):
				a.oversized[asset.Name] = true
				return nil
			case err != nil:
				return fmt.Errorf("asset %s: %w", asset.Name, err)
			}
			a.digests[asset.Name] = sum
			a.report.Digests[asset.Name] = sum.String()
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, asset := range assets {
		got := a.report.Digests[asset.Name]
		switch {
		case a.oversized[asset.Name]:
			a.add(check.Fail("asset "+asset.Name, fault.Verification, "larger than any that a release makes",
				fmt.Sprintf("at most %d bytes", limit(asset.Name)), fmt.Sprintf("listed with %d bytes", asset.Size)))
		case asset.Digest != "" && asset.Digest != got:
			a.add(check.Fail("asset "+asset.Name, fault.Verification, "the host lists another digest than it serves",
				asset.Digest, got))
		}
	}
	return nil
}

var errOversized = errors.New("larger than any that a release makes")

func fetchOne(ctx context.Context, src Source, asset Asset, path string) (digest.Digest, error) {
	if asset.Size > limit(asset.Name) {
		return digest.Digest{}, errOversized
	}
	h := sha256.New()
	err := file.Stream(path, 0o644, func(w io.Writer) error {
		out := &limited{w: io.MultiWriter(w, h), left: limit(asset.Name)}
		err := src.Fetch(ctx, asset.Name, out)
		if out.over { // whatever the source made of it
			return errOversized
		}
		return err
	})
	return digest.Digest(h.Sum(nil)), err
}

// limited refuses to write more than left bytes, and remembers that it did.
type limited struct {
	w    io.Writer
	left int64
	over bool
}

func (l *limited) Write(p []byte) (int, error) {
	if int64(len(p)) > l.left {
		l.over = true
		return 0, errOversized
	}
	l.left -= int64(len(p))
	return l.w.Write(p)
}

// read returns a fetched asset, which is no larger than its limit.
func (a *auditor) read(name string) ([]byte, error) {
	if err := a.absent(name); err != nil {
		return nil, err
	}
	return file.Read(filepath.Join(a.dir, name), limit(name))
}

// absent is why an asset has no digest; nil when it has one.
func (a *auditor) absent(name string) error {
	switch _, ok := a.digests[name]; {
	case ok:
		return nil
	case a.oversized[name]:
		return &fault.Error{Code: fault.Verification, Message: name + " is too large to be read"}
	}
	return &fault.Error{Code: fault.MissingAsset, Message: name + " is missing from the release"}
}

// GitHub is a release on GitHub, a draft or a public one.
type GitHub struct {
	Client *github.Client
	ID     int64 // of the release; 0 finds the public release of Tag
	Tag    string

	listed map[string]github.Asset
}

// Assets lists what GitHub has, afresh at each call. An upload that broke off
// half way is not an asset.
func (g *GitHub) Assets(ctx context.Context) ([]Asset, error) {
	rel, err := g.find(ctx)
	if err != nil {
		return nil, err
	}
	g.listed = map[string]github.Asset{}
	var out []Asset
	for _, a := range rel.Assets {
		if a.State == github.StateUploaded {
			g.listed[a.Name] = a
			out = append(out, Asset{Name: a.Name, Size: a.Size, Digest: a.Digest})
		}
	}
	return out, nil
}

func (g *GitHub) find(ctx context.Context) (*github.Release, error) {
	if g.ID != 0 {
		return g.Client.Release(ctx, g.ID)
	}
	rel, err := g.Client.ReleaseByTag(ctx, g.Tag)
	return rel, g.Client.Missing(ctx, "public release "+g.Tag, err)
}

// Fetch downloads one asset, byte for byte. The host's own digest is compared
// by Release, so that a difference is a finding and not the end of the audit.
func (g *GitHub) Fetch(ctx context.Context, name string, w io.Writer) error {
	a, ok := g.listed[name]
	if !ok {
		return fmt.Errorf("%s was not listed", name)
	}
	a.Digest = ""
	return g.Client.Download(ctx, a, w)
}
