package doctor

import (
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/check"
)

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
