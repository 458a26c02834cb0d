package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/audit"
)

// Verify audits a public release of either family, or a folder that holds one,
// and prints one line per check.
func Verify(ctx context.Context, name string, quick bool, folder string) error {
	tag, err := release.ParseTag(name)
	if err != nil {
		return err
	}
	return operate(ctx, func(o *operator) error {
		return o.audited(ctx, audit.Subject{Tag: tag, Quick: quick}, folder, nil)
	})
}

// VerifyRecent audits the n public releases of each family with the highest
// versions; one that fails does not keep the others from being looked at.
func VerifyRecent(ctx context.Context, n int) error {
	if n < 1 {
		return &fault.Error{Code: fault.Usage, Message: "fewer than one release cannot be checked",
			Expected: "at least 1", Got: fmt.Sprint(n)}
	}
	return operate(ctx, func(o *operator) error {
		all, err := o.github.Releases(ctx)
		if err != nil {
			return err
		}
		tags := recent(all, n)
		if len(tags) == 0 {
			o.console.Warnf("nothing is released yet")
		}
		var errs []error
		for _, tag := range tags {
			o.console.Infof("%s", tag)
			if err := o.audited(ctx, audit.Subject{Tag: tag}, "", nil); err != nil {
				o.console.Fault(err)
				errs = append(errs, err)
			}
		}
		return summary(errs, len(tags))
	})
}

// summary is one error with the code of the first; each was shown already.
func summary(errs []error, of int) error {
	if len(errs) == 0 {
		return nil
	}
	return &fault.Error{Code: fault.CodeOf(errs[0]), Message: fmt.Sprintf("%d of %d releases did not pass", len(errs), of)}
}

// recent are the tags of the n public releases of each family with the highest versions.
func recent(all []github.Release, n int) []release.Tag {
	var out []release.Tag
	for _, f := range release.Families() {
		tags := steps.PublicTags(all, f)
		slices.SortFunc(tags, func(a, b release.Tag) int { return b.Version.Compare(a.Version) })
		out = append(out, tags[:min(n, len(tags))]...)
	}
	return out
}
