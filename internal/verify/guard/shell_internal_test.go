package guard

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStatementsDropOnlyComments(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ script, kept, dropped string }{
		"whole line":            {"# SECRET\necho KEPT", "KEPT", "SECRET"},
		"indented":              {"  # SECRET", "", "SECRET"},
		"after a command":       {"echo KEPT # SECRET", "KEPT", "SECRET"},
		"after a semicolon":     {"echo KEPT;# SECRET", "KEPT", "SECRET"},
		"within a word":         {"echo a#KEPT", "KEPT", "-"},
		"length of a variable":  {"echo ${#KEPT}", "KEPT", "-"},
		"double quotes":         {`echo "a # KEPT"`, "KEPT", "-"},
		"single quotes":         {`echo 'a # KEPT'`, "KEPT", "-"},
		"escaped quote":         {`echo "a\" # KEPT"`, "KEPT", "-"},
		"quote over lines":      {"echo 'a\n# KEPT'\n# SECRET", "KEPT", "SECRET"},
		"apostrophe in comment": {"# don't\n# SECRET\necho KEPT", "KEPT", "SECRET"},
		"here-document":         {"cat <<EOF\n# KEPT\nEOF\n# SECRET", "KEPT", "SECRET"},
		"quoted delimiter":      {"cat <<'E F'\n# KEPT\nE F\n# SECRET", "KEPT", "SECRET"},
		"indented delimiter":    {"cat <<-EOF\n\t# KEPT\n\tEOF\n# SECRET", "KEPT", "SECRET"},
		"two here-documents":    {"cat <<A <<B\nA\n# KEPT\nB\n# SECRET", "KEPT", "SECRET"},
		"apostrophe inside":     {"cat <<EOF\ndon't\nEOF\n# SECRET\n: KEPT", "KEPT", "SECRET"},
		"here-string":           {"cat <<<EOF\n# SECRET\n: KEPT", "KEPT", "SECRET"},
		"commented opener":      {"# cat <<EOF\n# SECRET\n: KEPT", "KEPT", "SECRET"},
		"nested quotes":         {`echo "$(printf "%s # " KEPT)"`, "KEPT", "-"},
		"ansi quotes":           {`echo $'it\'s' ' # KEPT'`, "KEPT", "-"},
		"continued":             {"echo KE\\\nPT", "KEPT", "-"},
		"comment continued":     {"echo a \\\n#KEPT", "KEPT", "-"},
		"split by quotes":       {`echo K"EP"'T'`, "KEPT", "-"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b strings.Builder
			for _, l := range statements(tc.script) {
				b.WriteString(l.text + "\n")
			}
			require.Contains(t, b.String(), tc.kept)
			require.NotContains(t, b.String(), tc.dropped)
		})
	}
}

// Whatever the script, no line that has no '#' and is not a comment may vanish.
func FuzzStatements(f *testing.F) {
	f.Add("cat <<EOF >> $GITHUB_ENV\n# x\nEOF\necho 'a # b' \\\n c # d")
	f.Add("echo \"$(printf '%s # ' x)\"")
	f.Fuzz(func(t *testing.T, script string) {
		if strings.Contains(script, "#") {
			return
		}
		var kept strings.Builder
		for _, l := range statements(script) {
			kept.WriteString(l.text)
		}
		require.Equal(t, unquote.Replace(strings.ReplaceAll(script, "\n", "")), unquote.Replace(kept.String()))
	})
}
