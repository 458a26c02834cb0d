package pages_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/rehearsal/github/pages"
)

// drawn is a difference as one reads it.
func drawn(f pages.File) (out string) {
	for _, l := range f.Lines {
		out += map[string]string{"kept": " ", "added": "+", "removed": "-", "skipped": "~"}[l.Kind] + l.Text + "\n"
	}
	return out
}

func TestChanges(t *testing.T) {
	t.Parallel()
	var long []string
	for i := range 20 {
		long = append(long, fmt.Sprint(i))
	}
	before := strings.Join(long, "\n") + "\n"
	after := strings.Replace(strings.Replace(before, "\n3\n", "\n3\nnew\n", 1), "\n15\n", "\n", 1)
	got := pages.Changes(
		map[string][]byte{"same": []byte("x"), "gone": []byte("a\nb\n"), "long": []byte(before), "end": []byte("a\n"),
			"picture": {0xff}},
		map[string][]byte{"same": []byte("x"), "fresh": []byte("c"), "long": []byte(after), "end": []byte("a"),
			"picture": {0xfe}, "empty": {}}, "c")
	lines := map[string]string{}
	states := map[string]string{}
	for _, f := range got {
		lines[f.Path] = drawn(f)
		states[f.Path] = fmt.Sprintf("%s +%d -%d %s%t", f.State, f.Added, f.Removed, f.Commit, f.Binary)
	}
	require.Equal(t, map[string]string{"fresh": "added +1 -0 cfalse", "gone": "deleted +0 -2 false",
		"long": "changed +1 -1 cfalse", "end": "changed +0 -0 cfalse", "picture": "changed +0 -0 ctrue",
		"empty": "added +0 -0 cfalse"}, states)
	require.Equal(t, "~\n 1\n 2\n 3\n+new\n 4\n 5\n 6\n~\n 12\n 13\n 14\n-15\n 16\n 17\n 18\n~\n", lines["long"])
	require.Equal(t, "-a\n-b\n", lines["gone"])
	require.Equal(t, "+c\n", lines["fresh"])
	require.Empty(t, lines["picture"])
	require.Empty(t, pages.Changes(nil, nil, "c"))
}

// What is too much to compare line by line is still shown, and what is too much to show is counted.
func TestLongChanges(t *testing.T) {
	t.Parallel()
	many := func(word string) []byte { return []byte(strings.Repeat(word+"\n", 3000)) }
	got := pages.Changes(map[string][]byte{"a": many("x")}, map[string][]byte{"a": many("y")}, "c")[0]
	require.Equal(t, []int{3000, 3000, 1000, 5000}, []int{got.Added, got.Removed, len(got.Lines), got.Left})
	require.Contains(t, written(t, pages.Commit{SHA: strings.Repeat("a", 40), Files: []pages.File{got}}).Body.String(),
		"5000 lines more")
}

// Whatever two texts are, the difference has each line of both, in order.
func FuzzChanges(f *testing.F) {
	f.Add("a\nb\nc", "a\nc\nd\n")
	f.Add("", "\n\n")
	f.Add("\xff", "text")
	f.Fuzz(func(t *testing.T, before, after string) {
		was, is := map[string][]byte{"a": []byte(before)}, map[string][]byte{"a": []byte(after)}
		for _, file := range pages.Changes(was, is, "") {
			if file.Binary {
				require.Empty(t, file.Lines)
				continue
			}
			var removed, added int
			for _, l := range file.Lines {
				switch l.Kind {
				case "removed":
					require.Contains(t, before, l.Text)
					removed++
				case "added":
					require.Contains(t, after, l.Text)
					added++
				}
			}
			if file.Left == 0 {
				require.Equal(t, []int{file.Removed, file.Added}, []int{removed, added})
			}
			require.LessOrEqual(t, file.Removed, strings.Count(before, "\n")+1)
			require.Equal(t, strings.Count(strings.TrimSuffix(before, "\n"), "\n")-file.Removed+b2i(before != ""),
				strings.Count(strings.TrimSuffix(after, "\n"), "\n")-file.Added+b2i(after != ""),
				"what is left of one is what is left of the other")
		}
	})
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
