package tdx

import "time"

// SetClock replaces the clock by which answers are kept.
func (c *Collateral) SetClock(now func() time.Time) { c.now = now }
