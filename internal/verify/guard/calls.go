package guard

import (
	"fmt"
	"path"
	"strings"
)

// connect hands the values of the callers to what they call, until nothing is
// new any more: inputs by name, and the environment, which a step inherits.
func connect(units []*unit) {
	byPath := map[string]*unit{}
	for _, u := range units {
		byPath[u.file.Path] = u
	}
	for _, u := range units {
		for _, c := range u.calls {
			if callee(c.uses, byPath) == nil {
				u.refuse(c.line, fmt.Sprintf("%.100s is used and was not read", c.uses))
			}
		}
	}
	for range maxNesting {
		for _, u := range units {
			for _, c := range u.calls {
				if to := callee(c.uses, byPath); to != nil {
					u.hand(c, to)
				}
			}
		}
	}
}

func callee(uses string, byPath map[string]*unit) *unit {
	clean := path.Clean(uses)
	for _, name := range []string{clean, clean + "/action.yml", clean + "/action.yaml"} {
		if u := byPath[name]; u != nil {
			return u
		}
	}
	return nil
}

func (u *unit) hand(c call, to *unit) {
	r := &resolver{values: u.values, left: maxLookups}
	for name, raw := range c.with {
		texts, ok := r.expand(raw, 0)
		if !ok {
			texts = []string{unknown}
		}
		to.values.add("inputs."+name, texts...)
	}
	for name := range u.values {
		if strings.HasPrefix(name, "env.") {
			to.values.add(name, r.lookup(name, 0)...)
		}
	}
}
