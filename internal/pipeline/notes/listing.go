package notes

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/release"
)

// Listing is docs/releases/{tag}.md with the lines in its section "Compatible
// versions", where guard 1 looks for each new pair of the catalog: "ensures
// release notes mention the new compatibility entries". Every other line stays,
// and a line that is there is not written twice. file is what people wrote, nil
// when there is no such file. What could not be read afterwards as it was before
// is refused.
func Listing(tag release.Tag, file []byte, lines []string) ([]byte, error) {
	if len(bytes.TrimSpace(file)) == 0 {
		file = fmt.Appendf(nil, "# %s\n", tag)
	}
	if err := readable(file); err != nil {
		return nil, err
	}
	before, err := split(string(file))
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(before[1:], isListing) {
		file = fmt.Appendf(bytes.TrimRight(file, "\n"), "\n\n## %s\n", Compatible)
	}
	for _, line := range lines {
		if file, err = listed(file, line); err != nil {
			return nil, err
		}
	}
	return file, unharmed(before, file)
}

func isListing(b block) bool { return Section(b.heading) == Compatible }

// listed appends a line to the section's end, unless it is in it.
func listed(file []byte, line string) ([]byte, error) {
	cuts, err := headingsOf(file)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(cuts, func(c span) bool { return Section(c.name) == Compatible })
	if at < 0 {
		return nil, broken("the notes have no place for "+string(Compatible), "## "+string(Compatible), "no such section")
	}
	from, to := cuts[at].to, len(file)
	if at+1 < len(cuts) {
		to = cuts[at+1].from
	}
	text := strings.TrimSpace(string(file[from:to]))
	if slices.Contains(strings.Split(text, "\n"), line) {
		return file, nil
	}
	switch last := text[strings.LastIndexByte(text, '\n')+1:]; {
	case text == "":
		text = line
	case strings.HasPrefix(last, "- "):
		text += "\n" + line
	default:
		text += "\n\n" + line
	}
	after := file[to:]
	if len(after) > 0 {
		after = append([]byte("\n"), after...)
	}
	return slices.Concat(file[:from], []byte("\n"+text+"\n"), after), nil
}

// unharmed: what people wrote is read as it was, section by section.
func unharmed(before []block, file []byte) error {
	if err := readable(file); err != nil {
		return err
	}
	after, err := split(string(file))
	if err != nil {
		return err
	}
	text := func(b block) string { return strings.TrimSpace(b.text) }
	for i, b := range before {
		if i >= len(after) || after[i].heading != b.heading || !isListing(b) && text(after[i]) != text(b) {
			return broken("the pairs cannot be written into the notes", "the section \""+b.heading+"\" as it was",
				"another text")
		}
	}
	return nil
}
