// Package doctor looks, before a release, at what the release will need: the
// configuration, and what each token, account, service and program will allow.
//
// Its promise: it asks by the release's own clients; it asks for nothing that
// has an effect; what it calls a failure would stop a release, and says what to
// do about it; no question keeps the others waiting; and no secret is printed.
package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// grace is what a client gets to say why it was cut off.
const grace = time.Second

// patience is how long most questions may take; retries included.
const patience = 45 * time.Second

// target is what the probes look into.
type target struct {
	Scope
	env *environment.Environment
}

// rehearsed says that what is asked for will only be rehearsed. The probes are
// the same; what a release would not fail by may differ.
func (t *target) rehearsed() bool { return t.env.Config.Environment == config.Rehearsal }

// probe is one question.
type probe struct {
	name  string
	of    string        // the variable whose readers need an answer; empty: everybody
	limit time.Duration // 0: patience
	run   func(context.Context, *target) check.Results
}

func probes() []probe {
	return []probe{
		{name: "GitHub", of: "GITHUB_TOKEN", run: gitHub},
		{name: "approval", of: "GITHUB_TOKEN", run: approval},
		{name: "registry", of: "GHCR_TOKEN", run: registry},
		{name: "Google Cloud", of: "GCP_SERVICE_ACCOUNT_KEY", run: cloud},
		{name: "base image", of: "GCP_IMAGE_FAMILY", run: baseImage},
		{name: "Intel Trust Authority", of: "ITA_API_KEY", run: appraiser},
		{name: "dstack", of: "PHALA_CLOUD_API_KEY", run: provider},
		{name: "signing identity", of: "ACTIONS_ID_TOKEN_REQUEST_TOKEN", run: identity},
		{name: "trusted root", run: trustedRoot},
		{name: "tools", run: tools},
	}
}

// Examine asks everything that what is in the scope depends on, side by side. A
// failure has code 10; a pass with a reason is a warning.
func Examine(ctx context.Context, env *environment.Environment, s Scope) check.Results {
	all := slices.DeleteFunc(probes(), func(p probe) bool { return !s.reads(p.of) })
	return redact(examine(ctx, &target{s, env}, all), env.Secrets())
}

func examine(ctx context.Context, t *target, all []probe) check.Results {
	answers := make([]check.Results, len(all))
	var wait sync.WaitGroup
	for i, one := range all {
		wait.Go(func() { answers[i] = one.ask(ctx, t) })
	}
	wait.Wait()
	out := slices.Concat(answers...)
	for i := range out {
		if !out[i].OK() {
			out[i].Code = fault.Verification
		}
	}
	return out
}

// ask leaves a question that does not end by itself behind.
func (o probe) ask(ctx context.Context, t *target) check.Results {
	limit := o.limit
	if limit == 0 {
		limit = patience
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	answer := make(chan check.Results, 1)
	go func() { answer <- o.run(ctx, t) }()
	select {
	case r := <-answer:
		return r
	case <-ctx.Done():
	}
	select { // a client that heeds the deadline says more about what it waited for
	case r := <-answer:
		return r
	case <-time.After(grace):
	}
	return one(fail(o.name, fmt.Sprintf("no answer within %s", limit), "", "",
		"look whether the network and the service are up, and ask again"))
}

// remark is a pass with something to know.
func remark(name, format string, args ...any) check.Result {
	r := check.Pass(name)
	r.Reason = fmt.Sprintf(format, args...)
	return r
}

// failed is a failure with the cause's own advice, or with ours if it has none.
func failed(name string, err error, advice string) check.Result {
	r := check.Of(name, err)
	if r.Hint == "" {
		r.Hint = advice
	}
	return r
}

// fail is a failure with what to do about it.
func fail(name, reason, expected, got, hint string) check.Result {
	return check.Fail(name, fault.Verification, reason, expected, got).WithHint(hint)
}

// one is the answer of a probe with a single result.
func one(r check.Result) check.Results { return check.Results{r} }

// Print writes one line for each result, and what explains a failure below it.
func Print(c *console.Console, results check.Results) {
	for _, r := range results {
		if r.Status != check.Passed || r.Reason == "" {
			r.Print(c)
			continue
		}
		c.Warnf("%s: %s", r.Name, r.Reason)
		if r.Hint != "" {
			c.Detail("Hint:     %s", r.Hint)
		}
	}
}

// shortest is the length from which a value is looked for: no token is shorter,
// and a shorter one may be a word.
const shortest = 12

// redact hides the secrets in results. Our own messages hold none; what a
// server said, which they repeat, may echo what it was sent.
func redact(results check.Results, secrets []string) check.Results {
	var pairs []string
	for _, s := range secrets {
		if len(s) >= shortest {
			pairs = append(pairs, s, "[secret]")
		}
	}
	hide := strings.NewReplacer(pairs...)
	for i, r := range results {
		for _, text := range []*string{&r.Name, &r.Expected, &r.Got, &r.Reason, &r.Hint} {
			*text = hide.Replace(*text)
		}
		results[i] = r
	}
	return results
}
