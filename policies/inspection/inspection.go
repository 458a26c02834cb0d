// Package inspection judges policy files check by check, for people who want
// every finding and not only the first.
//
// Its promise: one result for each check of each file, a file that cannot be
// read fails, and what policies.Decode, policies.LoadDir or the schemas refuse
// fails here too.
package inspection

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/catalog/evidence"
	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
	"github.com/calimero-network/mero-tee/policies/schema"
)

// File judges one policy, a released or a working one, or the TCB list of the key
// service's host; its waivers by the day of at.
func File(name string, data []byte, at time.Time) check.Results {
	if isHost(data) {
		return Host(name, data, at)
	}
	out, s := file(name, data)
	return append(append(out, s.waivers(name, at)...), s.untested(name)...)
}

// subject is what a file turned out to be; both are nil when it could not be read.
type subject struct {
	released *policies.Policy
	working  *policies.Working
}

func (s subject) waivers(name string, at time.Time) check.Results {
	switch {
	case s.released != nil:
		return Waivers(name, s.released.TCB(), at)
	case s.working != nil:
		return Waivers(name, s.working.TCB(), at)
	}
	return nil
}

func (s subject) untested(name string) check.Results {
	switch {
	case s.released != nil:
		return Untested(name, s.released.Measurements)
	case s.working != nil:
		return Untested(name, s.working.Standing())
	}
	return nil
}

// Untested names every node release that the file holds without E2E, and why:
// its check was skipped, and that stays in sight.
func Untested(file string, tuples []policies.Measurement) check.Results {
	var out check.Results
	for _, m := range policies.Untested(tuples) {
		out = append(out, check.Skip(fmt.Sprintf("%s: E2E vouches for %s", file, m.NodeRelease),
			"promoted without it: "+m.WithoutE2E))
	}
	return out
}

// Tested judges, for each node release of the working policies that was not
// promoted without E2E, whether one vouches for it.
func Tested(ctx context.Context, working map[release.Profile]*policies.Working, from evidence.Source) check.Results {
	var out check.Results
	for _, p := range release.Profiles() {
		for _, m := range working[p].Standing() {
			if m.WithoutE2E != "" {
				continue
			}
			name := fmt.Sprintf("%s: E2E vouches for %s", policies.File(p), m.NodeRelease)
			tests, err := policies.ReadTests(ctx, from, []policies.Measurement{m})
			if err == nil {
				err = tests.CheckTested(p, m)
			}
			out = append(out, check.Of(name, err))
		}
	}
	return out
}

// Asked reads what node releases publish; one that is not public is left out. An error
// that wraps policies.ErrNotAsked says why nobody was asked.
type Asked func(context.Context, []release.Tag) (policies.Published, error)

// Origins judges whether each tuple of the working policies that stands is what the
// node release publishes that it names, as of the day of at.
func Origins(ctx context.Context, working map[release.Profile]*policies.Working, ask Asked,
	at time.Time) check.Results {
	var named []release.Tag
	for _, p := range release.Profiles() {
		named = append(named, policies.NodeReleases(working[p].Standing())...)
	}
	if len(named) == 0 {
		return nil
	}
	published, err := ask(ctx, named)
	const name = "node releases publish the measurements"
	switch {
	case errors.Is(err, policies.ErrNotAsked):
		return check.Results{check.Skip(name, err.Error())}
	case err != nil:
		return check.Results{check.Of(name, err)}
	}
	var out check.Results
	for _, p := range release.Profiles() {
		for _, m := range working[p].Standing() {
			name := fmt.Sprintf("%s: %s publishes the measurement", policies.File(p), m.NodeRelease)
			out = append(out, check.Of(name, published.Judge(p, m, at)))
		}
	}
	return out
}

func file(name string, data []byte) (check.Results, subject) {
	conforms, known, into := schema.ValidateWorking, working, any(new(policies.Working))
	if isReleased(data) {
		conforms, known, into = schema.Validate, released, new(policies.Policy)
	}
	s, unreadable := read(data, into)
	out := check.Results{
		check.Of(name+": conforms to its schema", conforms(data)),
		check.Of(name+": registers are 96 hex digits and not zero", registers(data)),
		check.Of(name+": is in the canonical form", unreadable),
	}
	for _, f := range known(s) {
		line := name + ": " + f.Name
		if s == (subject{}) {
			out = append(out, check.Skip(line, "the file cannot be read"))
			continue
		}
		out = append(out, check.Of(line, f.Err))
	}
	return out, s
}

func released(s subject) []policies.Finding {
	if s.released == nil {
		return (&policies.Policy{}).Findings()
	}
	return s.released.Findings()
}

func working(s subject) []policies.Finding {
	if s.working == nil {
		return (&policies.Working{}).Findings()
	}
	return s.working.Findings()
}

// isReleased tells the kinds of files apart: only a released policy has a KMS version.
func isReleased(data []byte) bool {
	var head struct {
		Version *json.RawMessage `json:"kms_version"`
	}
	return json.Unmarshal(data, &head) == nil && head.Version != nil
}

// read takes the file as it is, sound or not, into a policy of its kind.
func read(data []byte, into any) (s subject, err error) {
	if err := canonical.Unmarshal(data, into); err != nil {
		return s, refused("not a policy", err)
	}
	encoded, err := canonical.Marshal(into)
	if err == nil && string(encoded) != string(data) {
		err = errors.New("written by hand or by another program")
	}
	if err != nil {
		err = refused("not as the tools write it", err)
	}
	s.released, _ = into.(*policies.Policy)
	s.working, _ = into.(*policies.Working)
	return s, err
}

func refused(message string, err error) error {
	return &fault.Error{Code: fault.Verification, Message: message, Err: err,
		Hint: "two-space indented, the keys of the schema in its order, one newline at the end; policy:promote, " +
			"policy:refresh and policy:revoke write it so"}
}

// Waivers says of each waiver whether its last day has passed: a list in which
// one has ended is well-formed, and refuses whom it covered.
func Waivers(file string, list tcb.List, at time.Time) check.Results {
	var out check.Results
	for _, w := range list.TCBWaivers {
		name := fmt.Sprintf("%s: TCB waiver of %s", file, w.What())
		if w.Holds(at) {
			out = append(out, check.Pass(name).Noting(w.Reason))
			continue
		}
		out = append(out, check.Fail(name, fault.Verification, "it has ended", "a day that has not passed", w.Until).
			WithHint("patch the hosts and remove it, or give it a new end and say why, by a pull request"))
	}
	return out
}

// Host judges the TCB list of the key service's host.
func Host(name string, data []byte, at time.Time) check.Results {
	out := check.Results{check.Of(name+": conforms to its schema", schema.ValidateHost(data))}
	h, err := tcb.DecodeHost(data)
	out = append(out, check.Of(name+": TCB list is sane", err))
	if err != nil {
		return out
	}
	return append(out, Waivers(name, h.List, at)...)
}

// isHost tells the list of the key service's host from policies, which are of a profile.
func isHost(data []byte) bool {
	var head struct {
		Profile *json.RawMessage `json:"profile"`
		List    *json.RawMessage `json:"allowed_tcb_status"`
	}
	return json.Unmarshal(data, &head) == nil && head.Profile == nil && head.List != nil
}

// Folder judges the policies in the root of fsys: the working policies, or
// those of a KMS release, file by file and as a set; waivers by the day of at.
func Folder(fsys fs.FS, at time.Time) check.Results {
	names, err := fs.Glob(fsys, "*.json")
	if err != nil {
		return check.Results{check.Of("folder", err)}
	}
	if slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, assetPrefix) }) {
		return folder(fsys, release.PolicyAsset, releasedSet, at)
	}
	out := check.Results{strangers(names)}
	return append(out, folder(fsys, policies.File, workingSet, at)...)
}

const assetPrefix = "attestation-policy-"

func strangers(names []string) check.Result {
	known := policies.Files()
	unknown := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(known, n) })
	const name = "folder holds one policy per profile and nothing unknown"
	if len(unknown) > 0 {
		return check.Fail(name, fault.Verification, "unknown files", strings.Join(known, ", "), strings.Join(unknown, ", "))
	}
	return check.Pass(name)
}

func folder(fsys fs.FS, name func(release.Profile) string, set func(map[release.Profile]subject) error,
	at time.Time) check.Results {
	var out check.Results
	all := map[release.Profile]subject{}
	for _, p := range release.Profiles() {
		data, err := fs.ReadFile(fsys, name(p))
		if err != nil {
			missing := &fault.Error{Code: fault.MissingAsset, Message: "policy of " + string(p), Expected: name(p), Err: err}
			out = append(out, check.Of(name(p), missing))
			continue
		}
		results, s := file(name(p), data)
		out = slices.Concat(out, results, s.waivers(name(p), at), s.untested(name(p)))
		if s != (subject{}) {
			all[p] = s
		}
	}
	const together = "RTMR2 and RTMR3 keep the profiles apart, RTMR3 is the profile's"
	if len(all) < len(release.Profiles()) {
		return append(out, check.Skip(together,
			fmt.Sprintf("only %d of %d policies can be read", len(all), len(release.Profiles()))))
	}
	return append(out, check.Of(together, set(all)))
}

func workingSet(all map[release.Profile]subject) error {
	set := map[release.Profile]*policies.Working{}
	for _, p := range release.Profiles() {
		w := all[p].working
		if w == nil || w.Profile != p {
			return misplaced(p)
		}
		set[p] = w
	}
	return policies.CheckWorkingSet(set)
}

func releasedSet(all map[release.Profile]subject) error {
	set := map[release.Profile]*policies.Policy{}
	for _, p := range release.Profiles() {
		if all[p].released == nil {
			return misplaced(p)
		}
		set[p] = all[p].released
	}
	return policies.CheckSet(set)
}

func misplaced(p release.Profile) error {
	return fault.Mismatch("a policy in the place of another", string(p), "another profile or kind of policy")
}

// registers judges every register wherever it stands, so that a malformed one
// is named with its place even where nothing else of the file can be read.
func registers(data []byte) error {
	var content any
	if len(data) > canonical.MaxSize || json.Unmarshal(data, &content) != nil {
		return &fault.Error{Code: fault.Verification, Message: "no JSON in which to look for registers"}
	}
	return walk("", content)
}

func walk(at string, v any) error {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if err := member(at+"."+key, key, v[key]); err != nil {
				return err
			}
		}
	case []any:
		for i, e := range v {
			if err := walk(fmt.Sprintf("%s[%d]", at, i), e); err != nil {
				return err
			}
		}
	}
	return nil
}

// member judges the values of a key that is named after a register, and looks below any other.
func member(at, key string, v any) error {
	names := tdx.RegisterNames()
	if !slices.Contains(names[:], strings.TrimPrefix(key, "allowed_")) {
		return walk(at, v)
	}
	list, isList := v.([]any)
	if !isList {
		return register(at, v)
	}
	for i, e := range list {
		if err := register(fmt.Sprintf("%s[%d]", at, i), e); err != nil {
			return err
		}
	}
	return nil
}

func register(at string, v any) error {
	text, _ := v.(string)
	r, err := tdx.ParseRegister(text)
	if err == nil && r.IsZero() {
		err = fmt.Errorf("a register that nothing was measured into identifies nothing")
	}
	if err != nil {
		return &fault.Error{Code: fault.Verification, Message: strings.TrimPrefix(at, "."), Err: err,
			Expected: "96 lower-case hex digits, not all zero", Got: fmt.Sprintf("%.110q", fmt.Sprint(v))}
	}
	return nil
}
