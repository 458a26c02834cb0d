package sbom

import (
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLinked(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		replace *debug.Module
		want    module
	}{
		"not replaced": {nil, module{"example.test/a", "v1.0.0"}},
		"by another module": {&debug.Module{Path: "example.test/b", Version: "v2.0.0"},
			module{"example.test/b", "v2.0.0"}},
		"by a relative folder": {&debug.Module{Path: "./a"}, module{"example.test/a", ""}},
		"by an absolute one":   {&debug.Module{Path: "/a"}, module{"example.test/a", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, linked(&debug.Module{Path: "example.test/a", Version: "v1.0.0", Replace: tc.replace}))
		})
	}
}
