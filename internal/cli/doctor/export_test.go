package doctor

import (
	"context"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Ask asks one of the questions alone.
func Ask(ctx context.Context, env *environment.Environment, name string, families ...release.Family) check.Results {
	for _, one := range probes() {
		if one.name == name {
			one.limit = time.Hour // the test's own, for a hang
			return redact(examine(ctx, &target{Whole(families...), env}, []probe{one}), env.Secrets())
		}
	}
	panic("no probe " + name)
}

// Hang asks a question that never ends beside one that does.
func Hang(ctx context.Context, limit time.Duration, until <-chan struct{}) check.Results {
	return examine(ctx, &target{}, []probe{
		{name: "hangs", limit: limit, run: func(context.Context, *target) check.Results { <-until; return nil }},
		{name: "answers", run: func(context.Context, *target) check.Results { return one(check.Pass("answers")) }},
		{name: "heeds", limit: limit, run: func(ctx context.Context, _ *target) check.Results {
			<-ctx.Done()
			return one(check.Of("heeds", ctx.Err()))
		}},
	})
}

// Installed looks for the programs in the given folders only.
func Installed(ctx context.Context, env *environment.Environment, path []string,
	families ...release.Family) check.Results {
	return inspect(ctx, &target{Whole(families...), env}, path)
}

// Programs are the names and packages of all that is looked for.
func Programs() map[string]string {
	out := map[string]string{}
	for _, p := range programs() {
		out[p.name] = p.pkg
	}
	return out
}
