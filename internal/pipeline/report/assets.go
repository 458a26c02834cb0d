package report

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/artifact/signature"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Signatures are what an audit verified, by the names of the assets.
func Signatures(of map[string]signature.Certificate) map[string]Signature {
	out := map[string]Signature{}
	for name, c := range of {
		out[name] = Signature{Identity: c.SAN, Log: c.LogID, LogIndex: c.LogIndex, Time: c.Time}
	}
	return out
}

// AssetsIn lists the files of a folder of assets, the bundles left out of those
// whose signature was verified: they are what it says. A folder that is not
// there has none.
func AssetsIn(dir string, signed map[string]Signature) ([]Asset, error) {
	out := []Asset{}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		of, bundle := strings.CutSuffix(e.Name(), release.BundleSuffix)
		if _, verified := signed[of]; bundle && verified || !e.Type().IsRegular() {
			continue
		}
		sum, size, err := digest.OfFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		a := Asset{Name: e.Name(), Size: size, Digest: sum.String()}
		if s, ok := signed[e.Name()]; ok {
			a.Signature = &s
		}
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b Asset) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}
