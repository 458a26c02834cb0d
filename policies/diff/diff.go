// Package diff says in words that people review what changes from one policy
// to another.
//
// Its promise: every status, tuple and revocation that only one of the two
// policies holds has a row, every register that moved is named with both
// values, and the same two policies give the same bytes.
package diff

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

// Side is one of the two policies: what a released and a working one have in common.
type Side struct {
	Profile      release.Profile
	Release      string // the KMS version, empty for a working policy
	Status       string
	TCB          []string
	Waivers      []tcb.Waiver
	Measurements []policies.Measurement
	Revoked      []policies.Revocation // of a working policy
}

// Released is the side of attestation-policy-{profile}.json.
func Released(p *policies.Policy) Side {
	status := "in force"
	if p.NotReady() {
		status = string(p.Status)
	}
	return Side{Profile: p.Profile, Release: p.KMSVersion.String(), Status: status, TCB: p.AllowedTCBStatus,
		Waivers: p.TCBWaivers, Measurements: p.Measurements}
}

// Working is the side of policies/{profile}.json.
func Working(w *policies.Working) Side {
	return Side{Profile: w.Profile, TCB: w.AllowedTCBStatus, Waivers: w.TCBWaivers, Measurements: w.Measurements,
		Revoked: w.Revoked}
}

// Change says what happened to the subject of a row.
type Change string

// The changes.
const (
	Added   Change = "added"
	Removed Change = "removed"
	Revoked Change = "revoked"
	Moved   Change = "changed"
)

// Row is one line of the diff: a register of a tuple, or a field of the policy.
type Row struct {
	Profile       release.Profile
	Change        Change
	Subject       string // the node release of a tuple, "tcb_status", "kms_version" or "status"
	Register      string // its name, empty for a field
	Before, After string // values; empty means that there is none
}

// Rows compares two policies of one profile. The registers of a tuple are
// shown against the tuple of the other side that differs least from it, those
// that are equal there in one row without values.
func Rows(from, to Side) []Row {
	d := &differ{from: from, to: to}
	if from.Release != "" && to.Release != "" { // a working policy has neither
		d.field("kms_version", from.Release, to.Release)
		d.field("status", from.Status, to.Status)
	}
	d.statuses(Removed, from.TCB, to.TCB)
	d.statuses(Added, to.TCB, from.TCB)
	d.waivers()
	for _, m := range missing(from.Measurements, to.Measurements) {
		d.removed(m)
	}
	for _, m := range missing(to.Measurements, from.Measurements) {
		d.added(m)
	}
	d.untested()
	d.revocations()
	return d.rows
}

type differ struct {
	from, to Side
	rows     []Row
}

func (d *differ) add(change Change, subject, register, before, after string) {
	d.rows = append(d.rows, Row{Profile: d.to.Profile, Change: change, Subject: subject, Register: register,
		Before: before, After: after})
}

func (d *differ) field(name, before, after string) {
	if before != after {
		d.add(Moved, name, "", before, after)
	}
}

func (d *differ) statuses(change Change, list, other []string) {
	for _, s := range list {
		switch {
		case slices.Contains(other, s):
		case change == Removed:
			d.add(change, "tcb_status", "", s, "")
		default:
			d.add(change, "tcb_status", "", "", s)
		}
	}
}

func (d *differ) waivers() {
	said := func(list []tcb.Waiver) map[string]string {
		out := map[string]string{}
		for _, w := range list {
			out["waiver of "+w.Scope()] = "until " + w.Until + ": " + w.Reason
		}
		return out
	}
	before, after := said(d.from.Waivers), said(d.to.Waivers)
	for _, subject := range slices.Sorted(maps.Keys(merged(before, after))) {
		d.field(subject, before[subject], after[subject])
	}
}

func merged(a, b map[string]string) map[string]string {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

// missing are the tuples of list that other lacks.
func missing(list, other []policies.Measurement) []policies.Measurement {
	return slices.DeleteFunc(slices.Clone(list), func(m policies.Measurement) bool { return found(other, m) >= 0 })
}

// found is the place of a tuple of the same origin, promoted with E2E or without; -1 when there is none.
func found(list []policies.Measurement, m policies.Measurement) int {
	return slices.IndexFunc(list, m.Same)
}

// untested shows the reason of each tuple that is there without E2E, and what became of one.
func (d *differ) untested() {
	for _, m := range d.to.Measurements {
		before := ""
		if i := found(d.from.Measurements, m); i >= 0 {
			before = d.from.Measurements[i].WithoutE2E
		}
		switch {
		case before == m.WithoutE2E:
		case before == "":
			d.add(Added, subject(m), untested, "", m.WithoutE2E)
		default:
			d.add(Moved, subject(m), untested, before, m.WithoutE2E)
		}
	}
}

// untested stands in the place of a register's name.
const untested = "without_e2e"

func (d *differ) removed(m policies.Measurement) {
	for i, v := range m.Values() {
		d.add(Removed, subject(m), tdx.RegisterNames()[i], v.String(), "")
	}
}

func (d *differ) added(m policies.Measurement) {
	near, found := nearest(d.from.Measurements, m)
	var same []string
	for i, name := range tdx.RegisterNames() {
		before, after := near.Values()[i], m.Values()[i]
		switch {
		case !found:
			d.add(Added, subject(m), name, "", after.String())
		case before == after:
			same = append(same, name)
		default:
			d.add(Added, subject(m), name, before.String(), after.String())
		}
	}
	if len(same) > 0 {
		d.add(Added, subject(m), strings.Join(same, ", "), "as "+subject(near), "the same")
	}
}

// nearest prefers the tuple of the same release, then the fewest differences, then the newest.
func nearest(tuples []policies.Measurement, m policies.Measurement) (near policies.Measurement, found bool) {
	best := 0
	for _, o := range slices.Backward(tuples) {
		distance := len(o.Compare(m.Registers))
		if o.NodeRelease != m.NodeRelease {
			distance += len(m.Values())
		}
		if !found || distance < best {
			near, best, found = o, distance, true
		}
	}
	return near, found
}

func subject(m policies.Measurement) string {
	if m.Refreshed() {
		return fmt.Sprintf("%s, seen %s", m.NodeRelease, m.FirstSeen)
	}
	return m.NodeRelease.String()
}

func (d *differ) revocations() {
	for _, r := range d.to.Revoked {
		if !slices.Contains(d.from.Revoked, r) {
			d.add(Revoked, revokedName(r), "", "", r.Reason)
		}
	}
	for _, r := range d.from.Revoked {
		if !slices.Contains(d.to.Revoked, r) {
			d.add(Removed, "revocation of "+revokedName(r), "", r.Reason, "")
		}
	}
}

func revokedName(r policies.Revocation) string {
	if r.NodeRelease.IsZero() {
		return "mrtd " + short(r.MRTD.String())
	}
	return r.NodeRelease.String()
}
