package workflow_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/gce"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

func page(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("../../../" + name)
	require.NoError(t, err)
	return string(data)
}

var (
	namespaced = regexp.MustCompile(
		`(?:go tool mage |\b)((?:e2e|kms|node|release|verify|guard|policy|catalog|config|measurement|rehearse):[A-Za-z0-9]+)`)
	bare = regexp.MustCompile(`go tool mage ([a-z][A-Za-z0-9:]*)`)
)

// "Commands that exist only."
func TestPagesNameTargetsThatExist(t *testing.T) {
	t.Parallel()
	all := targets(t)
	for _, name := range []string{"docs/commands.md", "docs/releasing.md"} {
		text := page(t, name)
		found := append(namespaced.FindAllStringSubmatch(text, -1), bare.FindAllStringSubmatch(text, -1)...)
		require.NotEmpty(t, found)
		for _, m := range found {
			require.Contains(t, all, strings.ToLower(m[1]), name)
		}
	}
}

// "Every variable, secret, permission, environment and branch rule."
func TestReleasingNamesAllThatIsToBeSetUp(t *testing.T) {
	t.Parallel()
	text := page(t, "docs/releasing.md")
	for _, v := range config.Variables() {
		switch v.Kind {
		case config.KindVariable:
			require.Contains(t, text, "gh variable set "+v.Name+" ")
		case config.KindSecret:
			require.Regexp(t, "gh secret set "+v.Name+`\s|- `+"`"+v.Name+"`", text)
		}
	}
	// That the role has these permissions and no other is held by the local Compute Engine's tests.
	for _, name := range append(googles, gce.ReleasePermissions()...) {
		require.Contains(t, text, name)
	}
	for _, name := range []string{kms, node, auditor, guard, ci} {
		require.Contains(t, text, "| "+strings.TrimSuffix(name, ".yaml")+" |")
	}
	require.Contains(t, text, "**release-auditor**")
}

// The page has the spec's codes, each once.
func TestThePageOfExitCodes(t *testing.T) {
	t.Parallel()
	var codes []string
	for _, m := range regexp.MustCompile(`(?m)^\| (\d+) \|`).FindAllStringSubmatch(page(t, "docs/exit-codes.md"), -1) {
		codes = append(codes, m[1])
	}
	var want []string
	for _, c := range []fault.Code{fault.Success, fault.General, fault.Usage, fault.Verification, fault.MissingAsset} {
		want = append(want, fmt.Sprint(int(c)))
	}
	require.Equal(t, want, codes)
}
