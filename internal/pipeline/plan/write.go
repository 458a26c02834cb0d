package plan

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/calimero-network/mero-tee/docs/releases"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/provider/git"
)

const maxPaths = 50 // of a diff that are shown

// Write shows the plan: the class, its rules, a hotfix's diff, and what is missing.
func (p *Plan) Write(w io.Writer) error {
	if err := p.WriteRules(w); err != nil {
		return err
	}
	var b bytes.Buffer
	p.writeMissing(&b)
	_, err := w.Write(b.Bytes())
	return err
}

// WriteRules shows the class, its rules, what is waived, and a hotfix's diff.
func (p *Plan) WriteRules(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s at %.12s: %s", p.Tag, p.Commit, p.Class)
	if p.Rules.MinimalDiff {
		fmt.Fprintf(&b, " of %s", p.Patched)
	}
	b.WriteString("\n\n")
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, r := range p.rows() {
		fmt.Fprintf(table, "%s\t%s\n", r[0], r[1])
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(p.Waivers) > 0 {
		b.WriteString("\nTCB waivers\n")
	}
	for _, w := range p.Waivers {
		fmt.Fprintf(&b, "  %s\n", console.Safe(w))
	}
	if len(p.Untested) > 0 {
		b.WriteString("\nPromoted without E2E\n")
	}
	for _, u := range p.Untested {
		fmt.Fprintf(&b, "  %s\n", console.Safe(u))
	}
	if len(p.Facts) > 0 {
		b.WriteString("\nWhat it stands on\n")
	}
	for _, f := range p.Facts {
		fmt.Fprintf(&b, "  %s: %s\n", f.Topic, console.Safe(f.String()))
	}
	if p.Rules.MinimalDiff {
		p.writeDiff(&b)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (p *Plan) rows() [][2]string {
	r := p.Rules
	return [][2]string{
		{"checks", choose(r.SkippedChecks, "must pass; one may be skipped", "must pass; skipped counts as failed")},
		{"E2E", choose(r.E2EBlocks, "must pass", "advisory")},
		{"policy_not_ready", choose(r.PolicyNotReady, "allowed", "refused")},
		{"catalog update", string(r.Catalog)},
		{"notes", choose(r.FullNotes, "full", "short") + p.sections()},
		{"approval", choose(r.Approval, "environment release-auditor, before the promotion", "not needed")},
		{"ends as", p.end()},
	}
}

func (p *Plan) sections() string {
	names := make([]string, len(p.Rules.Sections))
	for i, s := range p.Rules.Sections {
		names[i] = string(s)
	}
	if len(names) == 0 {
		return ""
	}
	return ", with " + strings.Join(names, ", ")
}

func (p *Plan) end() string {
	switch {
	case !p.Rules.Promoted:
		return "pre-release; not for production, never latest"
	case p.Latest():
		return "release, and the family's latest"
	}
	return "release; latest stays, a higher version is out"
}

func choose(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}

func (p *Plan) writeDiff(b *bytes.Buffer) {
	if len(p.Diff) == 0 {
		fmt.Fprintf(b, "\nNo difference from %s: the same sources, built again.\n", p.Patched)
		return
	}
	var added, deleted int
	for _, c := range p.Diff {
		added, deleted = added+c.Added, deleted+c.Deleted
	}
	fmt.Fprintf(b, "\nDifference from %s: %d %s, +%d -%d lines\n", p.Patched, len(p.Diff),
		choose(len(p.Diff) == 1, "file", "files"), added, deleted)
	for _, c := range p.Diff[:min(maxPaths, len(p.Diff))] {
		fmt.Fprintf(b, "  %s\n", p.line(c))
	}
	if more := len(p.Diff) - maxPaths; more > 0 {
		fmt.Fprintf(b, "  and %d more\n", more)
	}
}

func (p *Plan) line(c git.Change) string {
	size := fmt.Sprintf("+%d -%d", c.Added, c.Deleted)
	if c.Binary {
		size = "binary"
	}
	return console.Safe(c.Path) + "  " + size + choose(p.unexplained(c.Path), "  needs its reason", "")
}

func (p *Plan) unexplained(file string) bool {
	return file != releases.Path(p.Tag) && !explained(file, p.Written.Reasons())
}

func (p *Plan) writeMissing(b *bytes.Buffer) {
	if p.Err() == nil {
		b.WriteString("\nNothing is missing.\n")
		return
	}
	b.WriteString("\nMissing:\n")
	for _, r := range p.judged() {
		if r.OK() {
			continue
		}
		fmt.Fprintf(b, "  %s: %s\n", r.Name, console.Safe(r.Reason))
		for _, detail := range [][2]string{{"Expected", r.Expected}, {"Got", r.Got}, {"Hint", r.Hint}} {
			if detail[1] != "" {
				fmt.Fprintf(b, "    %s: %s\n", detail[0], console.Safe(detail[1]))
			}
		}
	}
}
