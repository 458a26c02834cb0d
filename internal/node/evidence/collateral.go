package evidence

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
)

// Collateral remembers the digest of every piece of collateral that verdicts
// rest on. It is a tdx.CollateralSource.
type Collateral struct {
	Source tdx.CollateralSource

	mu   sync.Mutex
	seen map[string][sha256.Size]byte
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
		c.seen = map[string][sha256.Size]byte{}
	}
	c.seen[url] = sha256.Sum256(body)
	return header, body, nil
}

// Digest is over the addresses and digests of everything seen, in order.
func (c *Collateral) Digest() measurement.SHA256 {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := sha256.New()
	for _, url := range slices.Sorted(maps.Keys(c.seen)) {
		fmt.Fprintf(h, "%x  %s\n", c.seen[url], url)
	}
	return measurement.SHA256(h.Sum(nil))
}
