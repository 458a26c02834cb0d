package cli

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
	"github.com/calimero-network/mero-tee/policies/propose"
)

const today = "2026-11-26"

// nodeJSON is what mero-tee-v1.2.0 published.
func nodeJSON(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile("../attestation/measurement/testdata/node.json")
	require.NoError(t, err)
	return data
}

// revoking is an operator at a GitHub whose policies hold a node release that
// one of two key services admits.
func revoking(t *testing.T) (*operator, *bytes.Buffer, propose.Set) {
	t.Helper()
	o, said := proposing(t)
	before, err := propose.Load(t.Context(), o.github, propose.Base)
	require.NoError(t, err)
	data := nodeJSON(t)
	p, err := propose.Promote(before, data, propose.Voucher{Tests: vouching(t, data)})
	require.NoError(t, err)
	ev, err := policies.EvidenceOf(data)
	require.NoError(t, err)
	c, err := catalog.Declare(&catalog.Catalog{SchemaVersion: "1", Entries: []catalog.Entry{}},
		catalog.Pair{KMS: release.Version{Major: 1}, NodeImage: ev.Tag.Version}, "")
	require.NoError(t, err)
	encoded, err := c.Encode()
	require.NoError(t, err)
	_, err = o.github.Share(t.Context(), github.Change{Base: propose.Base, Branch: propose.Base, Path: catalog.Path,
		Content: encoded, Message: "the catalog"})
	require.NoError(t, err)
	other := ev
	other.Tag.Version.Major++
	other.Digest = "sha256:" + strings.Repeat("9", 64)
	for profile, r := range ev.Registers {
		r.MRTD[0] ^= 1
		other.Registers[profile] = r
	}
	publishPolicies(t, o, "mero-kms-v1.0.0", p.After)
	set := propose.Set{}
	for profile, w := range before {
		set[profile], err = policies.Promote(w, other)
		require.NoError(t, err)
	}
	publishPolicies(t, o, "mero-kms-v1.1.0", set)
	return o, said, p.After
}

// publishPolicies releases a key service that has nothing but its policies.
func publishPolicies(t *testing.T, o *operator, name string, set propose.Set) {
	t.Helper()
	tag, err := release.ParseTag(name)
	require.NoError(t, err)
	draft, err := o.github.CreateDraft(t.Context(), github.Draft{Tag: name, Title: name, Notes: "notes\n"})
	require.NoError(t, err)
	for profile, w := range set {
		ev := policies.Evidence{Tag: w.Measurements[0].NodeRelease, Digest: w.Measurements[0].Evidence,
			Registers: map[release.Profile]tdx.Registers{profile: w.Measurements[0].Registers}}
		policy, err := policies.Generate(w, tag.Version, ev)
		require.NoError(t, err)
		data, err := policy.Encode()
		require.NoError(t, err)
		_, err = o.github.Upload(t.Context(), draft, github.File{Name: release.PolicyAsset(profile), Size: int64(len(data)),
			Digest: digest.Of(data).String(), ContentType: "application/json",
			Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }})
		require.NoError(t, err)
	}
	no := false
	_, err = o.github.Update(t.Context(), draft.ID, github.Patch{Draft: &no})
	require.NoError(t, err)
}

func TestARevocationShowsWhatItStops(t *testing.T) {
	t.Parallel()
	o, said, before := revoking(t)
	ev, err := policies.EvidenceOf(nodeJSON(t))
	require.NoError(t, err)
	p, err := o.revoke(t.Context(), before, propose.Target{Tag: ev.Tag}, "CVE-2026-0001", today)
	require.NoError(t, err)
	want, err := os.ReadFile("testdata/revoke.txt")
	require.NoError(t, err)
	require.Equal(t, string(want), said.String())
	require.Contains(t, p.Body(), "## What it stops\n\n- stops nodes of "+ev.Tag.String())
	require.Equal(t, today, p.After[release.Debug].Revoked[0].RevokedOn)

	said.Reset()
	_, err = o.revoke(t.Context(), p.After, propose.Target{Tag: ev.Tag}, "CVE-2026-0001", today)
	require.NoError(t, err, "after it was merged")
	require.Equal(t, string(want), said.String(), "what goes on is seen until somebody ends it")
}

func TestWhatIsNotRevoked(t *testing.T) {
	t.Parallel()
	o, said, before := revoking(t)
	ev, err := policies.EvidenceOf(nodeJSON(t))
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		target propose.Target
		reason string
	}{
		"no reason":      {propose.Target{Tag: ev.Tag}, "None."},
		"nothing":        {propose.Target{}, "CVE-2026-0001"},
		"what is no one": {propose.Target{Prefix: "00000000"}, "CVE-2026-0001"},
	} {
		_, err := o.revoke(t.Context(), before, tc.target, tc.reason, today)
		require.Equal(t, fault.Usage, fault.CodeOf(err), name)
		require.Empty(t, said.String(), name)
	}
}

func TestRevocationsAreMains(t *testing.T) {
	t.Parallel()
	o, _, before := revoking(t)
	read := o.revoked()
	out, err := read(t.Context())
	require.NoError(t, err)
	require.Empty(t, out[release.Debug])

	ev, err := policies.EvidenceOf(nodeJSON(t))
	require.NoError(t, err)
	p, err := propose.Revoke(before, propose.Target{Tag: ev.Tag}, "CVE-2026-0001", today)
	require.NoError(t, err)
	data, err := p.After[release.Debug].Encode()
	require.NoError(t, err)
	_, err = o.github.Share(t.Context(), github.Change{Base: propose.Base, Branch: propose.Base,
		Path: "policies/debug.json", Content: data, Message: "merged"})
	require.NoError(t, err)
	out, err = o.revoked()(t.Context())
	require.NoError(t, err)
	require.Equal(t, p.After[release.Debug].Revoked, out[release.Debug])
	out, err = read(t.Context())
	require.NoError(t, err)
	require.Empty(t, out[release.Debug], "read once for one run of the auditor")

	_, err = notAsked(t.Context())
	require.ErrorIs(t, err, policies.ErrNotAsked)
	empty, _ := proposing(t)
	require.NoError(t, empty.github.Unshare(t.Context(), propose.Base))
	_, err = empty.revoked()(t.Context())
	require.ErrorIs(t, err, policies.ErrNotAsked, "a repository without policies revokes nothing")
}

// A release goes into the policies by E2E, or by a reason.
func TestPromotionAsksMainForEvidence(t *testing.T) {
	t.Parallel()
	o, said := proposing(t)
	before, err := propose.Load(t.Context(), o.github, propose.Base)
	require.NoError(t, err)
	data := nodeJSON(t)
	ev, err := policies.EvidenceOf(data)
	require.NoError(t, err)
	_, err = o.promotion(t.Context(), before, data, ev.Tag, "")
	require.Equal(t, fault.MissingAsset, fault.CodeOf(err))
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Contains(t, f.Hint, "policy:promote -withoutE2E=REASON")

	p, err := o.promotion(t.Context(), before, data, ev.Tag, "no TDX before Friday")
	require.NoError(t, err)
	require.Contains(t, said.String(), "[WARN] "+ev.Tag.String()+" is promoted without E2E: no TDX before Friday")
	require.Equal(t, "no TDX before Friday", p.After[release.Debug].Measurements[0].WithoutE2E)

	e := vouching(t, data)[ev.Tag][0]
	encoded, err := e.Encode()
	require.NoError(t, err)
	_, err = o.github.Share(t.Context(), github.Change{Base: propose.Base, Branch: propose.Base, Path: e.Path(),
		Content: encoded, Message: "evidence, merged"})
	require.NoError(t, err)
	p, err = o.promotion(t.Context(), before, data, ev.Tag, "")
	require.NoError(t, err)
	require.Empty(t, policies.Untested(p.After[release.Debug].Measurements))
}
