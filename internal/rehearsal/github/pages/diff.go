package pages

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// File is a file that a commit or a pull request changes.
type File struct {
	Path           string
	State          string // "added", "changed" or "deleted"
	Commit         string // at which it is shown; empty where it is nowhere
	Binary         bool   // its lines are not shown
	Added, Removed int    // lines
	Lines          []Line
	Left           int // lines that are not shown
}

// Line is a line of a difference.
type Line struct {
	Kind string // "added", "removed", "kept", or "skipped" for lines between
	Text string
}

const (
	around    = 3         // kept lines on either side of a change
	maxShown  = 1000      // lines of a file's difference
	maxSquare = 4_000_000 // lines of one side times those of the other that are compared line by line
)

// Changes are the files that differ between two commits; commit is the id of the second.
func Changes(from, to map[string][]byte, commit string) []File {
	var out []File
	both := maps.Clone(from)
	if both == nil {
		both = map[string][]byte{}
	}
	maps.Copy(both, to)
	for _, path := range slices.Sorted(maps.Keys(both)) {
		before, was := from[path]
		after, is := to[path]
		f := File{Path: path, State: "changed", Commit: commit}
		switch {
		case was && is && bytes.Equal(before, after):
			continue
		case !was:
			f.State = "added"
		case !is:
			f.State, f.Commit = "deleted", ""
		}
		f.compare(before, after)
		out = append(out, f)
	}
	return out
}

func (f *File) compare(before, after []byte) {
	if f.Binary = isBinary(before) || isBinary(after); f.Binary {
		return
	}
	all := difference(linesOf(before), linesOf(after))
	for _, l := range all {
		switch l.Kind {
		case "added":
			f.Added++
		case "removed":
			f.Removed++
		}
	}
	shown := near(all)
	f.Left = max(0, len(shown)-maxShown)
	f.Lines = shown[:len(shown)-f.Left]
}

func isBinary(content []byte) bool { return !utf8.Valid(content) || bytes.IndexByte(content, 0) >= 0 }

func linesOf(content []byte) []string {
	if len(content) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
}

// difference is the shortest one, where that can be found in reasonable time.
func difference(before, after []string) []Line {
	var head, tail []Line
	for len(before) > 0 && len(after) > 0 && before[0] == after[0] {
		head = append(head, Line{"kept", before[0]})
		before, after = before[1:], after[1:]
	}
	for len(before) > 0 && len(after) > 0 && before[len(before)-1] == after[len(after)-1] {
		tail = append(tail, Line{"kept", before[len(before)-1]})
		before, after = before[:len(before)-1], after[:len(after)-1]
	}
	slices.Reverse(tail)
	common := lengths(before, after)
	i, j := 0, 0
	for common != nil && i < len(before) && j < len(after) {
		switch {
		case before[i] == after[j]:
			head = append(head, Line{"kept", before[i]})
			i, j = i+1, j+1
		case common[i+1][j] >= common[i][j+1]:
			head = append(head, Line{"removed", before[i]})
			i++
		default:
			head = append(head, Line{"added", after[j]})
			j++
		}
	}
	for _, text := range before[i:] {
		head = append(head, Line{"removed", text})
	}
	for _, text := range after[j:] {
		head = append(head, Line{"added", text})
	}
	return append(head, tail...)
}

// lengths are those of the longest common subsequences of what follows each
// pair of lines; nil where there are too many pairs.
func lengths(before, after []string) [][]int32 {
	if len(before)*len(after) > maxSquare {
		return nil
	}
	out := make([][]int32, len(before)+1)
	for i := range out {
		out[i] = make([]int32, len(after)+1)
	}
	for i := len(before) - 1; i >= 0; i-- {
		for j := len(after) - 1; j >= 0; j-- {
			if before[i] == after[j] {
				out[i][j] = out[i+1][j+1] + 1
			} else {
				out[i][j] = max(out[i+1][j], out[i][j+1])
			}
		}
	}
	return out
}

// near leaves out what is far from every change.
func near(all []Line) []Line {
	shown := make([]bool, len(all))
	for i, l := range all {
		if l.Kind != "kept" {
			for k := max(0, i-around); k <= min(len(all)-1, i+around); k++ {
				shown[k] = true
			}
		}
	}
	var out []Line
	for i, l := range all {
		switch {
		case shown[i]:
			out = append(out, l)
		case i == 0 || shown[i-1]:
			out = append(out, Line{Kind: "skipped"})
		}
	}
	return out
}
