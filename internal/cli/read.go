package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/provider/git"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
	"github.com/calimero-network/mero-tee/internal/verify/audit"
	"github.com/calimero-network/mero-tee/internal/verify/guard"
)

// Status writes what the ledger of a tag holds, as a table or as JSON.
func Status(w io.Writer, tag *string, asJSON *bool) error {
	return report("release:status", status(w, Value(tag), Value(asJSON)))
}

func status(w io.Writer, flag string, asJSON bool) error {
	p, _, tag, err := asked(familyOf("release:status", flag), flag)
	if err != nil {
		return err
	}
	states, err := planOf(tag.Family).Status(steps.Dir(p.dist, tag))
	if err != nil {
		return err
	}
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(map[string]any{"tag": tag, "steps": states})
	}
	_, _ = fmt.Fprintln(w, tag)
	return pipeline.WriteStates(w, states)
}

// Verify audits a public release of either family, or a folder that holds one,
// and prints one line per check.
func Verify(ctx context.Context, name string, quick *bool, offline *string) error {
	return report("verify:release", verify(ctx, name, Value(quick), Value(offline)))
}

func verify(ctx context.Context, name string, quick bool, folder string) (err error) {
	tag, err := release.ParseTag(name)
	if err != nil {
		return err
	}
	o, err := openOperator(ctx)
	if err != nil {
		return err
	}
	defer o.world.Close() //nolint:errcheck // nothing was written
	return o.audited(ctx, audit.Subject{Tag: tag, Quick: quick}, folder, nil)
}

func banner(text string) string {
	if text == "" {
		return ""
	}
	return " [" + text + "]"
}

// GuardSelfTest shows that every guard fires.
func GuardSelfTest() error {
	return report("guard:selftest", guard.SelfTest().Report(Console()))
}

// GuardDocs is guard 1 over the files that changed since base.
func GuardDocs(ctx context.Context, base string) error {
	p, err := here()
	if err != nil {
		return report("guard:docs", err)
	}
	changed, err := git.Changed(ctx, p.root, base)
	if err != nil {
		return report("guard:docs", err)
	}
	return report("guard:docs", check.Results{guard.Docs(changed)}.Report(Console()))
}

// Guards runs guards 2, 3 and 4 alone, for the release of a tag.
func Guards(ctx context.Context, tag *string) error {
	return report("guard:all", guards(ctx, Value(tag)))
}

func guards(ctx context.Context, tag string) error {
	return within(ctx, "guard:all", tag, func(s *session) error {
		results, err := s.lane.Guards(ctx)
		if err != nil {
			return err
		}
		return s.lane.Judged(results).Report(s.console)
	})
}

// Up keeps the rehearsal's world running until ctx ends and prints where it listens.
func Up(ctx context.Context, w io.Writer) error { return report("rehearse:up", up(ctx, w)) }

func up(ctx context.Context, w io.Writer) error {
	p, err := here()
	if err != nil {
		return err
	}
	cfg, err := configuration(p, release.KMS, "")
	if err != nil {
		return err
	}
	if cfg.Environment != config.Rehearsal {
		return &fault.Error{Code: fault.Usage, Message: "there is no rehearsal in production", Hint: "unset MERO_ENVIRONMENT"}
	}
	return serveWorld(ctx, w, p, cfg)
}

// Reset removes dist/ with every rehearsed release.
func Reset() error {
	p, err := here()
	if err != nil {
		return report("rehearse:reset", err)
	}
	Console().Infof("removing %s", console.Path(p.dist))
	return report("rehearse:reset", os.RemoveAll(p.dist))
}

// report names the target that an error belongs to, prints the error once,
// with its hint, and passes it on.
func report(target string, err error) error {
	if err = fault.At(target, err); err != nil {
		Console().Fault(err)
	}
	return err
}

// Value is what an optional flag was set to, the zero value when it was not.
func Value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
