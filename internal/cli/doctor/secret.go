package doctor

import (
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
)

// shortest is the length from which a value is looked for: no token is shorter,
// and a shorter one may be a word.
const shortest = 12

// secretsOf lists the values that no result may hold. Our own messages hold
// none; what a server said, which they repeat, may echo what it was sent.
func secretsOf(env *environment.Environment) []string {
	out := []string{env.GitHubToken.Reveal(), env.DstackKey.Reveal(), env.ITA.Key.Reveal()}
	c := env.Config
	for _, s := range []interface{ Reveal() string }{c.GCPKey, c.RegistryToken, c.ITAKey, c.CosignPassword, c.GitHubToken, c.DstackKey, c.TokenRequestToken} {
		out = append(out, s.Reveal())
	}
	if env.RegistryAuth != nil {
		if a, err := env.RegistryAuth.Authorization(); err == nil {
			out = append(out, a.Password, a.RegistryToken, a.IdentityToken, a.Auth)
		}
	}
	return out
}

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
