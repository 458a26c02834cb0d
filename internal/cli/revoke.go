package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/audit"
	"github.com/calimero-network/mero-tee/policies"
	"github.com/calimero-network/mero-tee/policies/propose"
)

// PolicyRevoke proposes to take out the measurements of a release, or those
// with a register that begins like prefix, and shows what that stops.
func PolicyRevoke(ctx context.Context, w io.Writer, tag, prefix, reason string, dryRun bool) error {
	target := propose.Target{Prefix: prefix}
	if tag != "" {
		var err error
		if target.Tag, err = parseNode(tag); err != nil {
			return err
		}
	}
	today := time.Now().UTC().Format(time.DateOnly)
	return change(ctx, w, dryRun, release.Tag{},
		func(o *operator, before propose.Set, _ []byte) (*propose.Proposal, error) {
			return o.revoke(ctx, before, target, reason, today)
		})
}

func (o *operator) revoke(ctx context.Context, before propose.Set, target propose.Target, reason, today string) (
	*propose.Proposal, error) {
	day, err := propose.RevokedOn(ctx, o.github, target, today)
	if err != nil {
		return nil, err
	}
	p, err := propose.Revoke(before, target, reason, day)
	if err != nil {
		return nil, err
	}
	released, err := o.releasedPolicies(ctx)
	if err != nil {
		return nil, err
	}
	pairs, err := o.catalogOnMain(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		pairs, err = &catalog.Catalog{}, nil // there is none, so no pair is concerned
	}
	if err != nil {
		return nil, err
	}
	effects := target.Effects(before, p.After, released, pairs)
	for _, line := range effects.Lines() {
		o.console.Infof("%s", line)
	}
	p.Grounds += effects.Markdown()
	return p, nil
}

// maxServices bounds how many released key services a revocation looks at, newest first.
const maxServices = 100

// releasedPolicies are those of every key service that is out, as it publishes
// them: what is asked is what they admit, not whether they are to be trusted.
func (o *operator) releasedPolicies(ctx context.Context) (propose.Released, error) {
	all, err := o.github.Releases(ctx)
	if err != nil {
		return nil, err
	}
	tags := steps.PublicTags(all, release.KMS)
	slices.SortFunc(tags, func(a, b release.Tag) int { return b.Version.Compare(a.Version) })
	if len(tags) > maxServices {
		o.console.Warnf("only the newest %d of %d key services are looked at", maxServices, len(tags))
		tags = tags[:maxServices]
	}
	out := propose.Released{}
	for _, tag := range tags {
		at := slices.IndexFunc(all, func(r github.Release) bool { return r.TagName == tag.String() && !r.Draft })
		if out[tag], err = o.policiesOf(ctx, all[at]); err != nil {
			return nil, fmt.Errorf("policies of %s: %w", tag, err)
		}
	}
	return out, nil
}

// policiesOf says so when a policy is missing or cannot be read: an old release
// that is broken does not keep anybody from revoking.
func (o *operator) policiesOf(ctx context.Context, r github.Release) (map[release.Profile]*policies.Policy, error) {
	out := map[release.Profile]*policies.Policy{}
	for _, p := range release.Profiles() {
		at := slices.IndexFunc(r.Assets, func(a github.Asset) bool { return a.Name == release.PolicyAsset(p) })
		if at < 0 || r.Assets[at].Size > canonical.MaxSize {
			o.console.Warnf("%s has no %s that could be read: whom it admits is not known", r.TagName, release.PolicyAsset(p))
			continue
		}
		var data bytes.Buffer
		if err := o.github.Download(ctx, r.Assets[at], &data); err != nil {
			return nil, err
		}
		policy, err := policies.Decode(data.Bytes())
		if err != nil {
			o.console.Warnf("%s of %s cannot be read, so whom it admits is not known: %v", release.PolicyAsset(p), r.TagName,
				err)
			continue
		}
		out[p] = policy
	}
	return out, nil
}

// revoked are the revocations of main's policies, as people reviewed them; they
// are read once, however many releases are judged.
func (o *operator) revoked() audit.Revoked {
	var once sync.Once
	var out map[release.Profile][]policies.Revocation
	var failed error
	return func(ctx context.Context) (map[release.Profile][]policies.Revocation, error) {
		once.Do(func() { out, failed = o.revocations(ctx) })
		return out, failed
	}
}

func (o *operator) revocations(ctx context.Context) (map[release.Profile][]policies.Revocation, error) {
	set, err := propose.Load(ctx, o.github, propose.Base)
	if fault.CodeOf(err) == fault.MissingAsset {
		return nil, fmt.Errorf("%w: there are no working policies on %s", policies.ErrNotAsked, propose.Base)
	}
	out := map[release.Profile][]policies.Revocation{}
	for p, w := range set {
		out[p] = w.Revoked
	}
	return out, err
}

// notAsked is for a folder, which is judged without GitHub.
func notAsked(context.Context) (map[release.Profile][]policies.Revocation, error) {
	return nil, fmt.Errorf("%w: a folder is judged without GitHub; verify:release TAG asks %s", policies.ErrNotAsked,
		propose.Base)
}
