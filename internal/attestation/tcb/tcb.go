// Package tcb is what people accept of the machines under a TD: a list of TCB
// statuses, and waivers of others with a reason and an end.
//
// Its promise: a list is declared and never learned from a machine; a waiver
// counts for what it names until its last day and not a day longer; nothing
// waives "Revoked"; and a refusal says which list refused and how to waive.
package tcb

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/reason"
)

// Waiver accepts a status that the list does not, for a while.
type Waiver struct {
	Status     string   `json:"status"`
	Advisories []string `json:"advisories,omitempty"` // those that are accepted, such as "INTEL-SA-01192"; empty: any
	FMSPC      string   `json:"fmspc,omitempty"`      // the platform family, 12 lower-case hex digits; empty: any
	Reason     string   `json:"reason"`
	Until      string   `json:"until"` // YYYY-MM-DD, its last day, UTC
}

// List is what is accepted of one kind of machine.
type List struct {
	AllowedTCBStatus []string `json:"allowed_tcb_status"`
	TCBWaivers       []Waiver `json:"tcb_waivers,omitempty"`
}

// Platform is what a verdict says of a machine.
type Platform struct {
	Status     tdx.Status
	Advisories []string
	FMSPC      string
}

// Of is the platform of a verdict.
func Of(v *tdx.Verdict) Platform { return Platform{v.TCB, v.Advisories, v.FMSPC} }

// Statuses are the statuses of Intel's TCB info (PCS API v4) that people may
// accept. "Revoked" is Intel's too and is never accepted: the verifier refuses it
// whatever a list says.
func Statuses() []string {
	return []string{"UpToDate", "SWHardeningNeeded", "ConfigurationNeeded",
		"ConfigurationAndSWHardeningNeeded", "OutOfDate", "OutOfDateConfigurationNeeded"}
}

// OnlyWaived are those that count by a waiver alone, also where a list holds
// them: security updates are missing.
func OnlyWaived() []string { return []string{"OutOfDate", "OutOfDateConfigurationNeeded"} }

// Since is a list without an end, of statuses that somebody else has judged: a
// client's configuration can name no waivers.
func Since(statuses []string) List {
	var l List
	for _, s := range statuses {
		if slices.Contains(OnlyWaived(), s) {
			l.TCBWaivers = append(l.TCBWaivers, Waiver{Status: s, Reason: "listed", Until: "9999-12-31"})
			continue
		}
		l.AllowedTCBStatus = append(l.AllowedTCBStatus, s)
	}
	return l
}

// Check says whether the list means something: known statuses, each once, and
// waivers with a reason and an end. It does not look at the day. Its errors have
// code Verification.
func (l List) Check() error {
	if len(l.AllowedTCBStatus) == 0 {
		return fault.Mismatch("allowed_tcb_status is empty", "at least one of "+strings.Join(Statuses(), ", "), "none")
	}
	for i, s := range l.AllowedTCBStatus {
		if !slices.Contains(Statuses(), s) {
			return fault.Mismatch("allowed_tcb_status holds a status that is never allowed",
				strings.Join(Statuses(), ", "), s)
		}
		if slices.Contains(l.AllowedTCBStatus[:i], s) {
			return fault.Mismatch("allowed_tcb_status holds a status twice", "each once", s)
		}
		if slices.Contains(OnlyWaived(), s) &&
			!slices.ContainsFunc(l.TCBWaivers, func(w Waiver) bool { return w.Status == s }) {
			return fault.Mismatch("allowed_tcb_status holds "+s+" without a waiver",
				`its status, reason and until in "tcb_waivers"`, "none")
		}
	}
	for i, w := range l.TCBWaivers {
		if err := l.checkWaiver(w); err != nil {
			return err
		}
		if slices.ContainsFunc(l.TCBWaivers[:i], w.same) {
			return fault.Mismatch("tcb_waivers waives the same twice", "each once", w.What())
		}
	}
	return nil
}

var (
	fmspcForm    = regexp.MustCompile(`^[0-9a-f]{12}$`)
	advisoryForm = regexp.MustCompile(`^INTEL-(SA|DOC)-[0-9]{5}$`)
)

func (l List) checkWaiver(w Waiver) error {
	switch {
	case w.Status == string(tdx.Revoked):
		return fault.Mismatch("tcb_waivers waives Revoked, which nothing can", "any other status", w.Status)
	// A waiver that waives nothing would wait for the day when somebody changes the list.
	case !slices.Contains(Statuses(), w.Status),
		slices.Contains(l.AllowedTCBStatus, w.Status) && !slices.Contains(OnlyWaived(), w.Status):
		return fault.Mismatch("tcb_waivers waives what needs no waiver, or no status of Intel's",
			"one of "+strings.Join(Statuses(), ", ")+" that the list does not accept", fmt.Sprintf("%.60q", w.Status))
	case reason.Flaw(w.Reason) != "":
		return fault.Mismatch("a TCB waiver gives no reason: "+reason.Flaw(w.Reason), "why, for those who come later",
			fmt.Sprintf("%.60q", w.Reason))
	case w.FMSPC != "" && !fmspcForm.MatchString(w.FMSPC):
		return fault.Mismatch("fmspc of a TCB waiver", "12 lower-case hex digits", fmt.Sprintf("%.60q", w.FMSPC))
	}
	for i, id := range w.Advisories {
		if !advisoryForm.MatchString(id) || slices.Contains(w.Advisories[:i], id) {
			return fault.Mismatch("advisories of a TCB waiver", "such as INTEL-SA-01192, each once", fmt.Sprintf("%.60q", id))
		}
	}
	if _, err := time.Parse(time.DateOnly, w.Until); err != nil {
		return fault.Mismatch("a TCB waiver has no end", "its last day in until, YYYY-MM-DD", fmt.Sprintf("%.60q", w.Until))
	}
	return nil
}

func (w Waiver) same(o Waiver) bool {
	return w.Status == o.Status && w.FMSPC == o.FMSPC && slices.Equal(w.Advisories, o.Advisories)
}

// Scope says in words what is waived.
func (w Waiver) Scope() string {
	text := w.Status
	if len(w.Advisories) > 0 {
		text += " by " + strings.Join(w.Advisories, ", ")
	}
	if w.FMSPC != "" {
		text += " of FMSPC " + w.FMSPC
	}
	return text
}

// What says in words what is waived, and until when.
func (w Waiver) What() string { return w.Scope() + " until " + w.Until }

// Holds says whether the waiver's last day has not passed.
func (w Waiver) Holds(at time.Time) bool { return at.UTC().Format(time.DateOnly) <= w.Until }

// covers says whether the waiver is about the platform. Where it names
// advisories, a platform with another one, or with none, is not meant.
func (w Waiver) covers(p Platform) bool {
	if w.Status != string(p.Status) || (w.FMSPC != "" && w.FMSPC != p.FMSPC) {
		return false
	}
	if len(w.Advisories) == 0 {
		return true
	}
	other := func(id string) bool { return !slices.Contains(w.Advisories, id) }
	return len(p.Advisories) > 0 && !slices.ContainsFunc(p.Advisories, other)
}

// Accepts says whether the platform is accepted at a time. The waiver is nil
// when the list accepts it, or when nothing does; of a refusal it is the one
// that would have covered the platform, had it not ended.
func (l List) Accepts(p Platform, at time.Time) (bool, *Waiver) {
	if p.Status == tdx.Revoked {
		return false, nil
	}
	if slices.Contains(l.AllowedTCBStatus, string(p.Status)) && !slices.Contains(OnlyWaived(), string(p.Status)) {
		return true, nil
	}
	var ended *Waiver
	for i, w := range l.TCBWaivers {
		if w.covers(p) {
			if w.Holds(at) {
				return true, &l.TCBWaivers[i]
			}
			ended = &l.TCBWaivers[i]
		}
	}
	return false, ended
}

// Today are the statuses that are accepted at a time, of some machine at least:
// those of the list, then those that a waiver holds for.
func (l List) Today(at time.Time) []string {
	var out []string
	for _, s := range l.AllowedTCBStatus {
		if !slices.Contains(OnlyWaived(), s) {
			out = append(out, s)
		}
	}
	for _, w := range l.TCBWaivers {
		if w.Holds(at) && !slices.Contains(out, w.Status) {
			out = append(out, w.Status)
		}
	}
	return out
}

// Judge is nil when the platform under what is accepted; otherwise an error of code
// Verification that names the file of the list and the way to waive.
func (l List) Judge(what, file string, p Platform, at time.Time) error {
	ok, ended := l.Accepts(p, at)
	if ok {
		return nil
	}
	got := string(p.Status)
	if len(p.Advisories) > 0 {
		got += " (" + strings.Join(p.Advisories, ", ") + ")"
	}
	if p.FMSPC != "" {
		got += ", FMSPC " + p.FMSPC
	}
	message := "the TCB status of " + what + " is not accepted"
	if ended != nil {
		message = fmt.Sprintf("the TCB status of %s is not accepted any more: its waiver has ended (%s)", what, ended.What())
	}
	return &fault.Error{Code: fault.Verification, Message: message,
		Expected: strings.Join(l.AllowedTCBStatus, ", ") + ", by " + file, Got: got,
		Hint: fmt.Sprintf(`patch the host or use another one; or waive it in %s by a pull request: "tcb_waivers": `+
			`[{"status": %q, "fmspc": %q, "reason": "…", "until": "YYYY-MM-DD"}] (docs/policies.md)`, file, p.Status, p.FMSPC)}
}
