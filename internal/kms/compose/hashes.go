package compose

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// FormatHashes is compose-hash.txt: one line per profile, in the spec's order,
// "sha256:<64 hex>  <profile>". A profile that is missing from hashes is an error.
func FormatHashes(hashes map[release.Profile]digest.Digest) ([]byte, error) {
	var b bytes.Buffer
	for _, p := range release.Profiles() {
		hash, ok := hashes[p]
		if !ok {
			return nil, &fault.Error{Code: fault.General, Message: "no compose hash for " + string(p)}
		}
		fmt.Fprintf(&b, "%s  %s\n", hash, p)
	}
	return b.Bytes(), nil
}

// ParseHashes reads exactly what FormatHashes writes; errors carry code 10.
func ParseHashes(data []byte) (map[release.Profile]digest.Digest, error) {
	out := map[release.Profile]digest.Digest{}
	rest := string(data)
	for _, p := range release.Profiles() {
		line, after, found := strings.Cut(rest, "\n")
		text, ok := strings.CutSuffix(line, "  "+string(p))
		hash, err := digest.Parse(text)
		if !found || !ok || err != nil {
			return nil, hashesFault(fmt.Sprintf("sha256:<64 hex>  %s", p), fmt.Sprintf("%.200q", line))
		}
		out[p] = hash
		rest = after
	}
	if rest != "" {
		return nil, hashesFault("nothing after the last profile", fmt.Sprintf("%.200q", rest))
	}
	return out, nil
}

func hashesFault(expected, got string) error {
	return fault.Mismatch(release.ComposeHashAsset, expected, got)
}
