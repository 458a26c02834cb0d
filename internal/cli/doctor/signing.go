package doctor

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/calimero-network/mero-tee/internal/artifact/signature"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/release"
)

const (
	identityName = "signing identity"
	rootName     = "trusted root"
	tufName      = "Sigstore's TUF repository"
	carriedName  = "the key service's trusted root"
	soon         = 30 * 24 * time.Hour // that something ends
)

// identity: asking for a token would leave a trace in an audit log; that the
// job may ask is told by the two variables.
func identity(_ context.Context, t *target) check.Results {
	c := t.env.Config
	switch {
	case t.rehearsed():
		return one(check.NotApplicable(identityName, "a rehearsal signs with an authority of its own"))
	case c.TokenRequestURL != "" && c.TokenRequestToken != "":
		return one(check.Pass(identityName + ": the job may ask for one"))
	case !c.Actions:
		return one(check.Skip(identityName, "GitHub Actions gives it to the release workflow's job alone"))
	}
	return one(fail(identityName, "this job has none", "ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN",
		"not set", "in the workflow: permissions: id-token: write"))
}

// trustedRoot says what the root covers and since when.
func trustedRoot(ctx context.Context, t *target) check.Results {
	material, err := t.env.Trust(ctx)
	switch {
	case err != nil && t.rehearsed():
		return one(check.Skip(rootName, "a rehearsal makes it with its first release"))
	case err != nil:
		return one(failed(rootName, err, "check the network"))
	}
	out := check.Results{repository(ctx, t), judgeRoot(material, time.Now())}
	if t.releases(release.KMS) && t.performs("kms:build") {
		out = append(out, carried(ctx, t))
	}
	return out
}

// carriedRoot is the trusted root that a key service's image will carry.
const carriedRoot = "internal/kms/trusted_root.json"

// carried compares it with Sigstore's of today: a service whose root is older
// believes no policy that a later key of Sigstore's signed.
func carried(ctx context.Context, t *target) check.Result {
	if t.rehearsed() {
		return check.NotApplicable(carriedName, "a rehearsal has a Sigstore of its own")
	}
	mine, err := file.Read(filepath.Join(t.env.Root, filepath.FromSlash(carriedRoot)), signature.MaxTrust)
	if err != nil {
		return failed(carriedName, err, "the key service does not build without it")
	}
	newest, err := t.env.Sigstore.TrustedRootFile(ctx)
	if err != nil {
		return check.Unseen(carriedName, err.Error(), "nobody knows whether the carried root is older than today's")
	}
	status, err := t.env.Sigstore.Status(ctx)
	switch {
	case err != nil:
		return check.Unseen(carriedName, err.Error(), "ask again")
	case !bytes.Equal(mine, newest):
		return remark(carriedName+": not Sigstore's of today", "%s has %s, today's is %s: replace it by what "+
			"`verify:trust` prints, with its date in internal/kms/policy.go", carriedRoot, digest.Of(mine), digest.Of(newest))
	case status.Unasked != nil:
		return check.Unseen(carriedName, "it is that of an earlier look, and Sigstore could not be asked today", "ask again")
	}
	return check.Pass(carriedName + ": Sigstore's of today")
}

// repository says which metadata the trusted root comes from, and for how long that can be believed.
func repository(ctx context.Context, t *target) check.Result {
	status, err := t.env.Sigstore.Status(ctx)
	if err != nil {
		return failed(tufName, err, "check the network")
	}
	title := fmt.Sprintf("%s: root version %d, until %s; its word of today holds until %s", tufName, status.Root,
		status.RootEnds.UTC().Format(time.DateOnly), status.Ends.UTC().Format(time.DateOnly))
	if status.Unasked != nil {
		return remark(title, "it could not be asked, and a copy was taken: %v", status.Unasked)
	}
	return check.Pass(title)
}

// period is how long one key or authority is believed; a zero end is open.
type period struct{ start, end time.Time }

func (p period) covers(t time.Time) bool {
	return !p.start.After(t) && (p.end.IsZero() || p.end.After(t))
}

// judgeRoot counts what is valid now of what a verifier wants one of each; the
// newest start is the root's age. Timestamps may be the log's, or an authority's.
func judgeRoot(m root.TrustedMaterial, now time.Time) check.Result {
	var covers, missing, ending []string
	var newest time.Time
	count := func(name string, optional bool, periods []period) {
		valid := slices.DeleteFunc(slices.Clone(periods), func(p period) bool { return !p.covers(now) })
		covers = append(covers, fmt.Sprintf("%d of %d %s", len(valid), len(periods), name))
		for _, p := range valid {
			if p.start.After(newest) {
				newest = p.start
			}
		}
		switch {
		case len(valid) == 0 && !optional:
			missing = append(missing, name)
		case len(valid) > 0 && !slices.ContainsFunc(valid, func(p period) bool { return p.covers(now.Add(soon)) }):
			ending = append(ending, name)
		}
	}
	authorities, stamps := authorityPeriods(m)
	count("certificate authorities", false, authorities)
	count("signature logs", false, logPeriods(m.RekorLogs()))
	count("certificate logs", false, logPeriods(m.CTLogs()))
	count("timestamp authorities", true, stamps)
	covered, day := strings.Join(covers, ", "), func(t time.Time) string { return t.UTC().Format(time.DateOnly) }
	summary := fmt.Sprintf("%s: valid now are %s; the newest since %s", rootName, covered, day(newest))
	switch {
	case len(missing) > 0:
		return fail(rootName, "it believes in no "+strings.Join(missing, ", ")+" now", "one valid at "+day(now), covered,
			"update this repository's sigstore modules: the root of today is fetched from the one that they carry")
	case len(ending) > 0:
		return remark(summary, "all %s end within %d days", strings.Join(ending, ", "), int(soon/(24*time.Hour)))
	}
	return check.Pass(summary)
}

func authorityPeriods(m root.TrustedMaterial) (authorities, stamps []period) {
	for _, a := range m.FulcioCertificateAuthorities() {
		if f, ok := a.(*root.FulcioCertificateAuthority); ok {
			authorities = append(authorities, period{f.ValidityPeriodStart, f.ValidityPeriodEnd})
		}
	}
	for _, a := range m.TimestampingAuthorities() {
		if s, ok := a.(*root.SigstoreTimestampingAuthority); ok {
			stamps = append(stamps, period{s.ValidityPeriodStart, s.ValidityPeriodEnd})
		}
	}
	return authorities, stamps
}

func logPeriods(logs map[string]*root.TransparencyLog) (out []period) {
	for _, l := range logs {
		out = append(out, period{l.ValidityPeriodStart, l.ValidityPeriodEnd})
	}
	return out
}
