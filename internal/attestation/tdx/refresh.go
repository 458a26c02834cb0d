package tdx

import (
	"context"
	"time"
)

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
