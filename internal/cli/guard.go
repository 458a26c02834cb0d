package cli

import (
	"context"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/provider/git"
	"github.com/calimero-network/mero-tee/internal/verify/guard"
)

// GuardSelfTest shows that every guard fires.
func GuardSelfTest() error { return guard.SelfTest().Report(newConsole()) }

// GuardDocs is guard 1 over the files that changed since base.
func GuardDocs(ctx context.Context, base string) error {
	w, err := locate()
	if err != nil {
		return err
	}
	changed, err := git.Changed(ctx, w.root, base)
	if err != nil {
		return err
	}
	return check.Results{guard.Docs(changed)}.Report(newConsole())
}

// Guards runs guards 2, 3 and 4 alone, for the release of a tag; empty means
// the configuration's.
func Guards(ctx context.Context, tag string) error {
	return withSession(ctx, "guard:all", tag, func(s *session) error {
		results, err := s.release.Guards(ctx)
		if err != nil {
			return err
		}
		return s.release.Judged(results).Report(s.console)
	})
}
