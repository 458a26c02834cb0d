package packer_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/packer"
)

// The repository's own template, and what Packer finds in a spoilt one.
func TestRealPackerJudgesTheTemplate(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("compiles Packer")
	}
	absolute, err := filepath.Abs(root)
	require.NoError(t, err)
	p, err := packer.Prepare(t.Context(), absolute, func(line string) { t.Log(line) })
	require.NoError(t, err)
	require.NoError(t, p.Format(t.Context()))
	require.NoError(t, p.Validate(t.Context()))

	for name, tc := range map[string]struct{ file, from, to, want string }{
		"profile": {"profiles/debug.pkrvars.hcl", `profile = "debug"`, `profile = "open"`, "debug.pkrvars.hcl"},
		"unpinned base": {"base.pkrvars.hcl", `"ubuntu-2604-resolute-amd64-v20260918"`, `"ubuntu-2604-resolute-amd64"`,
			"must be pinned"},
		"plugin":       {"node.pkr.hcl", `"= 1.2.5"`, `"= 1.2.4"`, "1.2.4"},
		"architecture": {"node.pkr.hcl", `"x86_64"`, `"amd64"`, "Invalid image architecture \"AMD64\""},
		"variable":     {"node.pkr.hcl", "var.instance_name", "var.nothing", "nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spoilt := p.At(replaced(t, tc.file, tc.from, tc.to))
			err := spoilt.Validate(t.Context())
			require.Error(t, err)
			var f *fault.Error
			require.ErrorAs(t, err, &f)
			require.Contains(t, f.Message+f.Got, tc.want)
		})
	}
	t.Run("format", func(t *testing.T) {
		t.Parallel()
		err := p.At(replaced(t, "node.pkr.hcl", "  zone ", " zone ")).Format(t.Context())
		require.Equal(t, fault.Verification, fault.CodeOf(err))
	})
}

func replaced(t *testing.T, file, from, to string) string {
	t.Helper()
	dir := scratch(t)
	path := filepath.Join(dir, "packer", file)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(content), from)
	write(t, path, strings.Replace(string(content), from, to, 1))
	return dir
}
