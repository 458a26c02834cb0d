package doctor

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// WriteTable writes a line for each variable and secret: set or not, valid or
// why not, and the families' steps that read it. No value is written.
func WriteTable(w io.Writer, entries []config.Entry, families ...release.Family) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tKIND\tSTATE\tUSED BY")
	for _, e := range entries {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", e.Name, e.Kind, state(e), strings.Join(steps(e, families), " "))
	}
	return t.Flush()
}

func state(e config.Entry) string {
	switch {
	case e.Err != nil:
		return "not valid: " + strings.TrimPrefix(e.Err.Error(), e.Name+" is ")
	case e.Set:
		return "set, valid"
	case e.Default != "":
		return "default: " + e.Default
	}
	return "not set"
}

// steps are those of the families; none says that the pipeline itself reads it.
func steps(e config.Entry, families []release.Family) []string {
	var out []string
	for _, f := range families {
		out = append(out, e.Steps(f)...)
	}
	if len(e.Needs)+len(e.Uses) == 0 {
		return []string{"every command"}
	}
	return out
}

// Configured judges the configuration: what is not valid, and what production
// needs and has not. A rehearsal brings what is missing along.
func Configured(c *config.Config, entries []config.Entry, s Scope) check.Results {
	var out check.Results
	for _, e := range entries {
		switch {
		case e.Err != nil:
			r := check.Of("configuration", e.Err)
			r.Code = fault.Verification
			out = append(out, r)
		case c.Environment == config.Production && e.Kind != config.KindRuntime && e.Default == "" &&
			!e.Set && !isSet(entries, e.Alternative):
			out = append(out, missing(e, s)...)
		}
	}
	if len(out) > 0 {
		return out
	}
	title := fmt.Sprintf("configuration: %d of %d are set, all valid", count(entries), len(entries))
	if c.Environment == config.Rehearsal {
		title += "; a rehearsal brings along what is not set"
	}
	return one(check.Pass(title))
}

func count(entries []config.Entry) (set int) {
	for _, e := range entries {
		if e.Set {
			set++
		}
	}
	return set
}

func isSet(entries []config.Entry, name string) bool {
	return slices.ContainsFunc(entries, func(e config.Entry) bool { return e.Name == name && e.Set })
}

func missing(e config.Entry, s Scope) check.Results {
	var stop []string
	for _, f := range s.families {
		stop = append(stop, e.NeededBy(f)...)
	}
	if e.Kind == config.KindSecret {
		stop = slices.DeleteFunc(stop, func(step string) bool { return !s.performs(step) })
	}
	if len(stop) == 0 {
		return nil
	}
	return one(fail("configuration", e.Name+" is not set: "+strings.Join(stop, ", ")+" will stop", e.Valid, "not set",
		fmt.Sprintf("set the %s %s in the repository's settings: one of a GitHub environment does not reach this job",
			e.Kind, e.Name)))
}
