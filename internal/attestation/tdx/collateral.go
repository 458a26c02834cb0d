package tdx

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/base/retry"
)

const (
	maxCollateral      = 4 << 20 // bytes of one answer; a TCB info has about 20,000
	maxAnswers         = 256     // distinct addresses: one per platform family and three more
	collateralDeadline = 20 * time.Second
	collateralTTL      = time.Hour // so that a revocation is seen within the hour
)

// Collateral fetches Intel's collateral over HTTP and keeps each answer for an
// hour, or until its nextUpdate when that is sooner. It verifies nothing. It is
// safe for concurrent use, and asks once for what many want at once.
type Collateral struct {
	client  *http.Client
	mirror  string // see NewMirrored; empty: the production addresses
	now     func() time.Time
	flights singleflight.Group
	mu      sync.Mutex
	answers map[string]answer
}

type answer struct {
	header         map[string][]string
	body           []byte
	fetched, until time.Time
	used           time.Time // when it was last asked for
}

// NewCollateral asks the production addresses; the client's transport decides
// where they lead.
func NewCollateral(client *http.Client) *Collateral {
	return &Collateral{client: client, now: time.Now, answers: map[string]answer{}}
}

// GetContext answers from memory or fetches. A caller that gives up does not
// take the fetch away from the others.
func (c *Collateral) GetContext(ctx context.Context, url string) (map[string][]string, []byte, error) {
	if a, ok := c.fresh(url); ok {
		return a.header, a.body, nil
	}
	select {
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	case r := <-c.renew(ctx, url):
		a, _ := r.Val.(answer)
		return a.header, a.body, r.Err
	}
}

// renew fetches url once for all that want it now.
func (c *Collateral) renew(ctx context.Context, url string) <-chan singleflight.Result {
	return c.flights.DoChan(url, func() (any, error) {
		detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), collateralDeadline)
		defer cancel()
		var a answer
		policy := retry.Policy{First: 250 * time.Millisecond, Attempts: 4}
		err := policy.Do(detached, func(int) (err error) {
			a, err = c.fetch(detached, url)
			return err
		}, retry.HTTP)
		if err == nil {
			c.keep(url, a)
		}
		return a, err
	})
}

func (c *Collateral) fresh(url string) (answer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, ok := c.answers[url]
	if !ok || !c.now().Before(a.until) {
		return answer{}, false
	}
	a.used = c.now()
	c.answers[url] = a
	return a, true
}

func (c *Collateral) keep(url string, a answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if before, known := c.answers[url]; known {
		a.used = before.used
	}
	if len(c.answers) >= maxAnswers {
		clear(c.answers)
	}
	c.answers[url] = a
}

func (c *Collateral) fetch(ctx context.Context, url string) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.address(url), nil)
	if err != nil {
		return answer{}, err
	}
	response, err := c.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	if err := retry.Refused(response); err != nil {
		return answer{}, fmt.Errorf("%s: %w", url, err)
	}
	body, err := file.ReadAll(response.Body, maxCollateral)
	if err != nil {
		return answer{}, fmt.Errorf("%s: %w", url, err)
	}
	body = c.plain(body)
	return answer{header: response.Header, body: body, fetched: c.now(), until: c.until(body), used: c.now()}, nil
}

// until is when to ask again: at once for an answer that is no collateral,
// such as a gateway's page, so that it is not kept for an hour.
func (c *Collateral) until(body []byte) time.Time {
	now := c.now()
	next := nextUpdate(body)
	if ttl := now.Add(collateralTTL); next.After(ttl) {
		return ttl
	}
	return next
}

func nextUpdate(body []byte) time.Time {
	if crl, err := x509.ParseRevocationList(body); err == nil {
		return crl.NextUpdate
	}
	var signed struct {
		TCBInfo         struct{ NextUpdate time.Time }
		EnclaveIdentity struct{ NextUpdate time.Time }
	}
	if json.Unmarshal(body, &signed) != nil {
		return time.Time{}
	}
	if !signed.TCBInfo.NextUpdate.IsZero() {
		return signed.TCBInfo.NextUpdate
	}
	return signed.EnclaveIdentity.NextUpdate
}

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

const (
	refreshEvery = time.Minute
	unusedAfter  = 24 * time.Hour // a platform family that no node has shown for a day is not kept fresh
)

// Refresh renews each answer in its last quarter, until ctx ends, so that no
// node waits for Intel's service. failed hears of what could not be renewed:
// the old answer then serves until its end, and no longer.
func (c *Collateral) Refresh(ctx context.Context, failed func(url string, err error)) {
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, url := range c.due() {
			select {
			case <-ctx.Done():
				return
			case r := <-c.renew(ctx, url):
				if r.Err != nil {
					failed(url, r.Err)
				}
			}
		}
	}
}

// due forgets what nobody uses and names what to renew.
func (c *Collateral) due() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var urls []string
	now := c.now()
	for url, a := range c.answers {
		switch lead := a.until.Sub(a.fetched) / 4; {
		case now.Sub(a.used) > unusedAfter:
			delete(c.answers, url)
		case !now.Before(a.until.Add(-lead)):
			urls = append(urls, url)
		}
	}
	return urls
}
