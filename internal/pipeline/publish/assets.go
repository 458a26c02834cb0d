package publish

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/provider/github"
)

// todo is what compare found to be done.
type todo struct {
	broken  map[string]int64 // uploads that broke off, by name
	missing map[string]bool
}

// compare judges everything before anything is changed.
func (p *Publisher) compare(ctx context.Context, rel *github.Release, files []github.File) (todo, error) {
	do := todo{broken: map[string]int64{}, missing: map[string]bool{}}
	there := map[string]github.Asset{}
	for _, a := range rel.Assets {
		there[a.Name] = a
	}
	for _, f := range files {
		a, found := there[f.Name]
		delete(there, f.Name)
		switch {
		case !found:
			do.missing[f.Name] = true
		case a.State != github.StateUploaded:
			do.missing[f.Name], do.broken[f.Name] = true, a.ID
		default:
			if err := p.same(ctx, rel, a, f); err != nil {
				return do, err
			}
		}
	}
	if extra := sorted(there); len(extra) > 0 {
		return do, &fault.Error{Code: fault.Verification,
			Message:  "the release of " + rel.TagName + " holds assets that are not part of it",
			Expected: "only what the plan names", Got: strings.Join(extra, ", "), Hint: "look at " + rel.HTMLURL}
	}
	if missing := sorted(do.missing); !rel.Draft && len(missing) > 0 {
		return do, &fault.Error{Code: fault.MissingAsset, Message: "the public release of " + rel.TagName + " lacks assets",
			Expected: strings.Join(missing, ", "), Got: "none", Hint: "published means immutable: release the next version"}
	}
	return do, nil
}

// same refuses other bytes under the same name.
func (p *Publisher) same(ctx context.Context, rel *github.Release, a github.Asset, f github.File) error {
	got := a.Digest
	if got == "" && a.Size == f.Size { // GitHub knows no digest of assets older than June 2025
		sum := sha256.New()
		if err := p.GitHub.Download(ctx, a, sum); err != nil {
			return err
		}
		got = digest.Digest(sum.Sum(nil)).String()
	}
	if a.Size == f.Size && got == f.Digest {
		return nil
	}
	return &fault.Error{Code: fault.Verification,
		Message:  fmt.Sprintf("the release of %s holds other bytes under the name %s", rel.TagName, a.Name),
		Expected: fmt.Sprintf("%s (%d bytes)", f.Digest, f.Size), Got: fmt.Sprintf("%s (%d bytes)", got, a.Size),
		Hint: "a release never changes; find out who made the other bytes, or release the next version"}
}

func (p *Publisher) upload(ctx context.Context, rel *github.Release, files []github.File, do todo) (Result, error) {
	var result Result
	for _, f := range files {
		if !do.missing[f.Name] {
			result.Kept = append(result.Kept, f.Name)
			continue
		}
		if err := p.uploadOne(ctx, rel, f, do.broken[f.Name]); err != nil {
			return result, err
		}
		result.Uploaded = append(result.Uploaded, f.Name)
	}
	return result, nil
}

func (p *Publisher) uploadOne(ctx context.Context, rel *github.Release, f github.File, broken int64) error {
	if broken != 0 {
		err := p.Journal.Do(journal.BrokenAsset, f.Name, func() error { return p.GitHub.DeleteAsset(ctx, broken) })
		if err != nil {
			return err
		}
	}
	return p.Journal.Do(journal.Upload, f.Name, func() error {
		_, err := p.GitHub.Upload(ctx, rel, f)
		return err
	})
}

func sorted[V any](set map[string]V) []string {
	names := make([]string, 0, len(set))
	for name := range set {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

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
		return github.File{}, &fault.Error{Code: fault.MissingAsset, Message: "a staged asset is missing",
			Expected: "a file with content: " + name, Got: "none", Err: err}
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
