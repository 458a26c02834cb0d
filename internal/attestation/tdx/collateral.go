package tdx

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
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
		a, err := c.fetch(detached, url)
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
	defer response.Body.Close() //nolint:errcheck // read to its end or given up
	if response.StatusCode != http.StatusOK {
		return answer{}, fmt.Errorf("%s: status %s", url, response.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxCollateral+1))
	if err != nil {
		return answer{}, fmt.Errorf("%s: %w", url, err)
	}
	if len(body) > maxCollateral {
		return answer{}, fmt.Errorf("%s: more than %d bytes", url, maxCollateral)
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
	var said struct {
		TCBInfo         struct{ NextUpdate time.Time }
		EnclaveIdentity struct{ NextUpdate time.Time }
	}
	if json.Unmarshal(body, &said) != nil {
		return time.Time{}
	}
	if !said.TCBInfo.NextUpdate.IsZero() {
		return said.TCBInfo.NextUpdate
	}
	return said.EnclaveIdentity.NextUpdate
}
