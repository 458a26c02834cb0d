package config

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// WritePage writes docs/configuration.md.
func WritePage(w io.Writer) error {
	var b strings.Builder
	b.WriteString(intro)
	for _, part := range []struct {
		kind  Kind
		title string
	}{{KindVariable, "Variables of the repository"}, {KindSecret, "Secrets"}, {KindRuntime, "What nobody has to set up"}} {
		fmt.Fprintf(&b, "\n## %s\n\n| name | for | a valid value | needed by | read by |\n", part.title)
		b.WriteString("|---|---|---|---|---|\n")
		for _, v := range Variables() {
			if v.Kind == part.kind {
				b.WriteString(v.row())
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

const intro = `<!-- Written from internal/release/config by ` + "`go test ./internal/release/config -update`" + `: change it there. -->
# Configuration

Every variable and secret of a release, as the spec lists them (CI/CD Setup), and the few of ours. ` + "`go tool mage doctor`" + `
prints which of them are set, whether they are valid, and whether what they lead to will do: [doctor.md](doctor.md).

A rehearsal needs none of them: it brings its own. An empty value is none. Steps under "needed by" stop without the variable;
those under "read by" do without it, in the way that its purpose or default says.
`

func (v *Variable) row() string {
	purpose, valid := v.Purpose, v.Valid
	if v.Default != "" {
		valid += "; by default `" + v.Default + "`"
	}
	if v.Alternative != "" {
		purpose += "; `" + v.Alternative + "` may be set instead"
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s | %s |\n", v.Name, purpose, valid, stepsOf(v.Needs), stepsOf(v.Uses))
}

func stepsOf(names []string) string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = "`" + name + "`"
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}
