package evidence

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/digest"
)

// Collateral remembers the digest of every piece of collateral that verdicts
// rest on. It is a tdx.CollateralSource.
type Collateral struct {
	Source tdx.CollateralSource

	mu   sync.Mutex
	seen map[string]digest.Digest
}

// GetContext asks the source and remembers its answer.
func (c *Collateral) GetContext(ctx context.Context, url string) (map[string][]string, []byte, error) {
	header, body, err := c.Source.GetContext(ctx, url)
	if err != nil {
		return nil, nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		c.seen = map[string]digest.Digest{}
	}
	c.seen[url] = digest.Of(body)
	return header, body, nil
}

// Digest is over the addresses and digests of everything seen, in order.
func (c *Collateral) Digest() digest.Digest {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := sha256.New()
	for _, url := range slices.Sorted(maps.Keys(c.seen)) {
		fmt.Fprintf(h, "%s  %s\n", c.seen[url].Hex(), url)
	}
	return digest.Digest(h.Sum(nil))
}
