package diff

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"text/tabwriter"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
)

// digits is how many of a register's 96 are shown unless all are asked for.
const digits = 16

func short(value string) string {
	if _, err := tdx.ParseRegister(value); err == nil {
		return value[:digits] + "…"
	}
	return value
}

// WriteTable writes the rows for a terminal; full says to show whole registers.
func WriteTable(w io.Writer, rows []Row, full bool) error {
	if len(rows) == 0 {
		_, err := fmt.Fprintln(w, "no difference")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "PROFILE\tCHANGE\tWHAT\tREGISTER\tBEFORE\tAFTER") // a tabwriter keeps the error for Flush
	for _, r := range rows {
		cells := r.cells(full)
		for i, c := range cells {
			cells[i] = strings.Map(printable, c)
		}
		_, _ = fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	return table.Flush()
}

// printable keeps a reason from moving a terminal's cursor or breaking the table.
func printable(r rune) rune {
	if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
		return ' '
	}
	return r
}

// Markdown is the rows as a table for a pull request or a page.
func Markdown(rows []Row, full bool) string {
	if len(rows) == 0 {
		return "No difference.\n"
	}
	var b strings.Builder
	b.WriteString("| profile | change | what | register | before | after |\n|---|---|---|---|---|---|\n")
	for _, r := range rows {
		cells := r.cells(full)
		for i, c := range cells {
			cells[i] = Cell(c)
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
	}
	return b.String()
}

func (r Row) cells(full bool) []string {
	out := []string{string(r.Profile), string(r.Change), r.Subject, r.Register, r.Before, r.After}
	for i, c := range out {
		switch {
		case c == "":
			out[i] = "-"
		case !full:
			out[i] = short(c)
		}
	}
	return out
}

var markup = strings.NewReplacer(`\`, `\\`, "|", `\|`, "<", "&lt;", ">", "&gt;", "&", "&amp;", "`", "\\`", "*", `\*`,
	"_", `\_`, "[", `\[`, "]", `\]`, "@", "&#64;", "#", "&#35;", "!", `\!`)

var shownRegister = regexp.MustCompile(`^[0-9a-f]{16}(…|[0-9a-f]{80})$`)

// Cell is text as one cell of a Markdown table that shows it as it is: registers
// as code, whatever else without markup, mentions and line breaks.
func Cell(text string) string {
	text = strings.Map(printable, text)
	if shownRegister.MatchString(text) {
		return "`" + text + "`"
	}
	return markup.Replace(text)
}
