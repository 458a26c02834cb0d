package tdx

import (
	"bytes"
	"encoding/hex"
	"net/http"
	"strings"
	"time"
)

const intelAPI = "https://api.trustedservices.intel.com"

// NewMirrored asks base, such as "https://pccs.example.com:8081", for what
// Intel's service serves, by the paths of Intel's caching service (PCCS). It
// needs no trust: whatever it answers must be signed under the pinned root.
func NewMirrored(base string, client *http.Client) *Collateral {
	c := NewCollateral(client)
	c.mirror = strings.TrimSuffix(base, "/")
	return c
}

// address is where to ask. What is not of Intel's API is the root's CRL, which
// a PCCS serves under a path of its own.
func (c *Collateral) address(url string) string {
	if c.mirror == "" {
		return url
	}
	if path, ok := strings.CutPrefix(url, intelAPI); ok {
		return c.mirror + path
	}
	return c.mirror + "/sgx/certification/v4/rootcacrl"
}

// plain undoes the hexadecimal in which a PCCS serves the root's CRL.
func (c *Collateral) plain(body []byte) []byte {
	if c.mirror == "" {
		return body
	}
	if der, err := hex.DecodeString(string(bytes.TrimSpace(body))); err == nil {
		return der
	}
	return body
}

// Age is how long ago the oldest answer in memory was fetched; false when there is none.
func (c *Collateral) Age() (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var oldest time.Time
	for _, a := range c.answers {
		if oldest.IsZero() || a.fetched.Before(oldest) {
			oldest = a.fetched
		}
	}
	return c.now().Sub(oldest), !oldest.IsZero()
}
