package config

import (
	"cmp"
	"fmt"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Judged are the values that the guards of a release judged, by the names of
// their variables: those that decide what is released, which must be the same
// from the first step to the last. Addresses of services and the zone of VMs
// are not among them: they say where something is tried, and are mended between
// two attempts.
type Judged map[string]string

// Judged are the values that the guards judge, as they are now.
func (c *Config) Judged() Judged {
	out := Judged{}
	for _, v := range Variables() {
		if v.get != nil {
			out[v.Name] = v.get(c)
		}
	}
	return out
}

// IsJudged says that the guards judge the variable, so that later steps take
// what was judged and not what it holds by then.
func (v *Variable) IsJudged() bool { return v.get != nil }

// Moved is a variable that is not any longer what it was when it was judged.
type Moved struct {
	Entry
	Was, Now string // Now may be a default, or a value that is not valid and not shown
}

// String says it to people.
func (m Moved) String() string {
	now := fmt.Sprintf("is %q", m.Now)
	switch {
	case m.Err != nil:
		now = "is not valid"
	case !m.Set:
		now = "is not set"
	}
	return fmt.Sprintf("%s %s here, and was %q when it was judged: %q counts for this release", m.Name, now, m.Was, m.Was)
}

// Adopt puts what was judged in the place of what is set now, in c and in the
// entries that Inspect found with it, and says what differs. A judged value
// that no variable could have had is refused, with code Verification.
func (c *Config) Adopt(judged Judged, entries []Entry) ([]Moved, error) {
	var moved []Moved
	for i, e := range entries {
		was, ok := judged[e.Name]
		if !ok || e.get == nil {
			continue
		}
		if err := e.check(c, was); err != nil {
			return nil, &fault.Error{Code: fault.Verification, Message: "what the ledger holds as judged is no valid value",
				Err: err}
		}
		if now := e.get(c); now != was || e.Err != nil {
			moved = append(moved, Moved{Entry: e, Was: was, Now: now})
		}
		e.set(c, cmp.Or(was, e.Default))
		entries[i].Set, entries[i].Err = was != "", nil
	}
	return moved, nil
}

// Fault is the first error among entries.
func Fault(entries []Entry) error {
	for _, e := range entries {
		if e.Err != nil {
			return e.Err
		}
	}
	return nil
}

// text is a version as its variable holds it, empty when that is not set.
func text(v release.Version) string {
	if v == (release.Version{}) {
		return ""
	}
	return v.String()
}
