package sbom_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/sbom"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// many is the small document with n more images, each of size bytes at least.
func many(t *testing.T, n, size int, location string) string {
	t.Helper()
	var packages, relationships strings.Builder
	for i := range n {
		fmt.Fprintf(&packages, `{"SPDXID": "SPDXRef-e%d", "name": "e", "downloadLocation": %q, "comment": %q, "checksums": `+
			`[{"algorithm": "SHA256", "checksumValue": "%064x"}]},`, i, location, strings.Repeat("x", size), i)
		fmt.Fprintf(&relationships, `{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", `+
			`"relatedSpdxElement": "SPDXRef-e%d"},`, i)
	}
	doc := strings.Replace(small(t), `"packages": [`, `"packages": [`+packages.String(), 1)
	return strings.Replace(doc, `"relationships": [`, `"relationships": [`+relationships.String(), 1)
}

// Images of a whole distribution, three of them, have more than four MiB.
func TestLargeDocuments(t *testing.T) {
	t.Parallel()
	large := many(t, 600, 8<<10, "NONE")
	require.Greater(t, len(large), 4<<20)
	require.NoError(t, sbom.Check([]byte(large)))
	require.ErrorContains(t, sbom.Check(make([]byte, sbom.MaxSize+1)), "more than the 16777216 allowed")
}

// However much is wrong, a person can read it.
func TestProblemsAreFew(t *testing.T) {
	t.Parallel()
	for name, doc := range map[string]string{
		"packages":      many(t, 500, 0, ""),
		"relationships": strings.ReplaceAll(many(t, 500, 0, "NONE"), `Element": "SPDXRef-e`, `Element": "SPDXRef-x`),
		"identifiers":   strings.ReplaceAll(many(t, 500, 0, "NONE"), "SPDXRef-e", "SPDXRef-_"),
		"licences": strings.ReplaceAll(many(t, 500, 0, "NONE"), `"name": "e"`,
			`"name": "e", "licenseDeclared": "prose, too"`),
	} {
		err := sbom.Check([]byte(doc))
		require.Equal(t, fault.Verification, fault.CodeOf(err), name)
		require.Regexp(t, `SBOM: \d+ more like these`, err.Error(), name)
		require.Less(t, len(err.Error()), 8<<10, name)
	}
}
