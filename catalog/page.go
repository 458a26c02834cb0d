package catalog

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/calimero-network/mero-tee/internal/release"
)

// The documentation that is written from the catalog.
const (
	PagePath    = "docs/catalog.md"
	PicturePath = "docs/compatibility.svg"
)

// Between these lines of the page stands what is written from the catalog.
const (
	pageBegin = "<!-- pairs: written from the catalog by `go tool mage catalog:docs` -->\n"
	pageEnd   = "<!-- end of pairs -->\n"
)

// maxRows is how many entries the page lists.
const maxRows = 200

// Docs are the page and the picture, by their path in the repository. page is
// the page as it is, whose other text stays; nil begins one.
func (c *Catalog) Docs(page []byte) map[string][]byte {
	return map[string][]byte{PagePath: c.page(page), PicturePath: c.Matrix().SVG()}
}

func (c *Catalog) page(page []byte) []byte {
	if len(page) == 0 {
		page = []byte("# Compatibility catalog\n")
	}
	before, rest, begun := bytes.Cut(page, []byte(pageBegin))
	_, after, ended := bytes.Cut(rest, []byte(pageEnd))
	if !begun || !ended { // somebody took the lines out
		before = append(bytes.TrimRight(page, "\n"), "\n\n## Pairs\n\n"...)
		after = nil
	}
	return bytes.Join([][]byte{before, []byte(pageBegin), []byte(c.rows()), []byte(pageEnd), after}, nil)
}

// rows is the table of the page.
func (c *Catalog) rows() string {
	var b strings.Builder
	b.WriteString("\n| key service | node image | profiles | state | notes |\n|---|---|---|---|---|\n")
	for i, e := range c.Entries {
		if i == maxRows {
			fmt.Fprintf(&b, "\n%d older entries are in the catalog only.\n", len(c.Entries)-maxRows)
			break
		}
		state := Declared
		if e.Tested {
			state = Tested
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", e.KMS, e.NodeImage, release.ProfileList(e.Profiles), state,
			markdown.Replace(e.Notes))
	}
	b.WriteString("\n")
	return b.String()
}

// markdown shows text in a cell of a table as it is.
var markdown = strings.NewReplacer("\\", "\\\\", "|", "\\|", "&", "&amp;", "<", "&lt;", ">", "&gt;", "`", "\\`",
	"*", "\\*", "_", "\\_", "[", "\\[", "]", "\\]", "\r", " ", "\n", " ")
