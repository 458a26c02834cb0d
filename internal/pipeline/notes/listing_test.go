package notes_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline/notes"
	"github.com/calimero-network/mero-tee/internal/release"
)

func TestListing(t *testing.T) {
	t.Parallel()
	tag := release.Tag{Family: release.KMS, Version: release.Version{Major: 1}}
	const line, other = "- mero-kms-v1.0.0 with mero-tee-v2.0.0: tested in debug", "- mero-kms-v1.0.0 with another"
	const head, parts = "# mero-kms-v1.0.0\n", "\n## Breaking changes\n\nOne.\n\n## Upgrade path\n\nTwo.\n"
	for name, tc := range map[string]struct{ file, want string }{
		"no file":     {"", head + "\n## Compatible versions\n\n" + line + "\n"},
		"a candidate": {head, head + "\n## Compatible versions\n\n" + line + "\n"},
		"sections":    {head + parts, head + parts + "\n## Compatible versions\n\n" + line + "\n"},
		"no last line": {strings.TrimRight(head+parts, "\n"), strings.TrimRight(head+parts, "\n") +
			"\n\n## Compatible versions\n\n" + line + "\n"},
		"an empty section": {head + "\n## Compatible versions\n" + parts,
			head + "\n## Compatible versions\n\n" + line + "\n" + parts},
		"a section with words": {head + "\n## Compatible versions\n\nWords.\n" + parts,
			head + "\n## Compatible versions\n\nWords.\n\n" + line + "\n" + parts},
		"a section with items": {head + parts + "\n## Compatible versions\n\n" + other + "\n",
			head + parts + "\n## Compatible versions\n\n" + other + "\n" + line + "\n"},
		"it is there": {head + "\n## Compatible versions\n\n" + line + "\n",
			head + "\n## Compatible versions\n\n" + line + "\n"},
		"a comment that looks like it": {head + "\n<!--\n## Compatible versions\n-->\n" + parts,
			head + "\n<!--\n## Compatible versions\n-->\n" + parts + "\n## Compatible versions\n\n" + line + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := notes.Listing(tag, []byte(tc.file), []string{line})
			require.NoError(t, err)
			require.Equal(t, tc.want, string(got))
			again, err := notes.Listing(tag, got, []string{line})
			require.NoError(t, err)
			require.Equal(t, string(got), string(again), "once")
			for _, c := range []release.Class{release.Stable, release.Hotfix, release.Candidate} {
				w, results := notes.Read(tag, c, got)
				require.NotEmpty(t, results)
				require.Contains(t, w.Sections[notes.Compatible], line, c)
				in := notes.Input{Tag: tag}
				w.Fill(&in)
				require.Contains(t, in.Summary, "## Compatible versions\n\n", "what people wrote there is in the notes")
			}
		})
	}
}

// Where the line would be swallowed, or would not be read, nothing is written.
func TestListingRefuses(t *testing.T) {
	t.Parallel()
	tag := release.Tag{Family: release.KMS, Version: release.Version{Major: 1}}
	for name, file := range map[string]string{
		"an open code block": "# mero-kms-v1.0.0\n\n```\nopen\n",
		"an open comment":    "# mero-kms-v1.0.0\n\n<!-- open\n",
		"HTML":               "# mero-kms-v1.0.0\n\n<details>\n",
		"not text":           "# mero-kms-v1.0.0\n\xff\n",
		"too long":           "# mero-kms-v1.0.0\n" + strings.Repeat("a", 20_000),
	} {
		_, err := notes.Listing(tag, []byte(file), []string{"- a line"})
		require.Equal(t, fault.Verification, fault.CodeOf(err), name)
	}
}
