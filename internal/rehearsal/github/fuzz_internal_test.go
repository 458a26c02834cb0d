package github

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// One spelling is one only if it stays as it is, and white space decides nothing.
func FuzzNormal(f *testing.F) {
	for _, s := range []string{listReleasesQuery, releaseByTagQuery, listPullsQuery, "{a,b}", "query X ( $a : Int ! ) {x}",
		"... on User", "mutation\tM{x}", " "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, query string) {
		one := normal(query)
		require.Equal(t, one, normal(one))
		require.Equal(t, one, normal(" "+strings.ReplaceAll(query, " ", "\n\t, ")+"\n"))
		require.Contains(t, unanswered(query).body.(fields), "errors")
	})
}
