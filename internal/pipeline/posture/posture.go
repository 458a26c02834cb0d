// Package posture is what a release stands on and does not decide: how far the
// base image is behind its family, what is accepted of machines and what they
// showed, and how old the policies are.
//
// Its promise: it reports and refuses nothing; what could not be looked at is
// said as that; and a fact is one bounded line, the same in the plan, on the
// run's page and in the notes.
package posture

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/policies"
)

// Topic is what a fact is about.
type Topic string

// The three topics.
const (
	BaseImage Topic = "base image"
	TCB       Topic = "TCB"
	PolicyAge Topic = "policy age"
)

// Fact is one line about a topic.
type Fact struct {
	Topic   Topic  `json:"topic"`
	Text    string `json:"text"`
	Heed    bool   `json:"heed,omitempty"`    // a person should look at it
	Unknown bool   `json:"unknown,omitempty"` // it could not be looked at
}

const maxText = 400 // characters of a fact

func fact(t Topic, heed bool, format string, args ...any) Fact {
	text := console.Safe(fmt.Sprintf(format, args...))
	if utf8.RuneCountInString(text) > maxText {
		text = string([]rune(text)[:maxText]) + "…"
	}
	return Fact{Topic: t, Text: text, Heed: heed}
}

// Unlooked is a fact that could not be looked at, with the reason.
func Unlooked(t Topic, what string, why any) Fact {
	f := fact(t, false, "could not look at %s: %v", what, why)
	f.Unknown = true
	return f
}

// String is the fact's line, with what a person should know of it first.
func (f Fact) String() string {
	if f.Heed {
		return "please look: " + f.Text
	}
	return f.Text
}

// Base is how the pinned base image compares with the newest of its family.
func Base(d image.Drift, err error) Fact {
	if err != nil {
		return Unlooked(BaseImage, "the family of the pinned base image", err)
	}
	return fact(BaseImage, d.Pinned != d.Newest, "%s", d)
}

// List is what is accepted of machines, with the file that people change.
type List struct {
	File string
	tcb.List
}

const soon = 30 * 24 * time.Hour // a waiver that ends within it should be looked at

// Accepted says of each list what it accepts, and of each waiver when it ends.
func Accepted(lists []List, at time.Time) []Fact {
	var out []Fact
	for _, l := range lists {
		out = append(out, fact(TCB, false, "%s accepts %s", l.File, strings.Join(l.Today(at), ", ")))
		for _, w := range l.TCBWaivers {
			switch {
			case !w.Holds(at):
				out = append(out, fact(TCB, true, "%s: the waiver of %s has ended", l.File, w.What()))
			case !w.Holds(at.Add(soon)):
				out = append(out, fact(TCB, true, "%s: the waiver of %s ends within 30 days", l.File, w.What()))
			}
		}
	}
	return out
}

// Shown says which TCB statuses the machines of a profile showed when they were
// measured. upToDate is Intel's word for a machine that lacks nothing.
func Shown(machines string, statuses []string) Fact {
	const upToDate = "UpToDate"
	counts := map[string]int{}
	for _, s := range statuses {
		counts[s]++
	}
	var parts []string
	for s, n := range counts {
		parts = append(parts, fmt.Sprintf("%s %d×", s, n))
	}
	slices.Sort(parts)
	return fact(TCB, counts[upToDate] != len(statuses), "%s showed %s when they were measured", machines,
		strings.Join(parts, ", "))
}

// Appraised says how many machines of the end-to-end test Intel Trust Authority judged as our own verifier did.
func Appraised(machines int) Fact {
	if machines == 0 {
		return Unlooked(TCB, "Intel Trust Authority's opinion of the tested machines", "it was not asked")
	}
	return fact(TCB, false, "Intel Trust Authority judged %d quotes of the tested machines as this release's verifier did",
		machines)
}

// old is after how long nobody may have looked at a policy: Intel publishes TCB recoveries about twice a year.
const old = 180 * 24 * time.Hour

// Age says when a governed file was changed last, and which measurement it took last.
func Age(file string, changed time.Time, newest *policies.Measurement, at time.Time) Fact {
	age := at.Sub(changed)
	text := fmt.Sprintf("%s changed last on %s, %s before", file, changed.UTC().Format(time.DateOnly),
		console.Number(max(0, int(age.Hours()/24)), "day"))
	if newest != nil {
		text += "; its newest measurement is of " + newest.NodeRelease.String()
		if newest.Refreshed() {
			text += ", first seen on " + newest.FirstSeen
		}
	}
	if age > old {
		text += "; older than 180 days: look whether Intel or the platform moved since"
	}
	return fact(PolicyAge, age > old, "%s", text)
}
