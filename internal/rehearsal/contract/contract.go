// Package contract reads what the stand-ins promise: the rules of the real
// services that each one enforces, in the file contract.md beside its code.
//
// Its promise: a rule without a source, a test or a word on how sure it is, is
// refused with its file and line; nothing in a page is passed over in silence.
package contract

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// FileName is what a stand-in's contract is called.
const FileName = "contract.md"

// Rule is one rule of a real service.
type Rule struct {
	Text   string // one sentence
	Source string // where it can be read: an address, a public source file, a public report with its month
	Test   string // the test in which the stand-in enforces it: package below internal/, a point, its name
	Sure   string // certain, likely, or harsher: not known, so the harsher way was taken
}

// Contract is what one stand-in promises.
type Contract struct {
	System  string // the real service
	File    string // where the contract lies, in the repository
	Rules   []Rule
	Missing []string // what the real service does and the stand-in is known not to do
}

const (
	head  = "| rule | source | test | sure |"
	ruler = "|---|---|---|---|"
	gaps  = "## Known to be missing"
)

var (
	testName = regexp.MustCompile(`^(?:([a-z0-9]+(?:/[a-z0-9]+)*)\.)?((?:Test|Fuzz)\w+)$`)
	sure     = []string{"certain", "likely", "harsher"}
)

// Find reads every contract in a repository's internal/, in the order of the systems' names.
func Find(repository fs.FS) ([]Contract, error) {
	var out []Contract
	err := fs.WalkDir(repository, "internal", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() != FileName {
			return err
		}
		data, err := fs.ReadFile(repository, name)
		if err != nil {
			return err
		}
		c, err := Parse(name, string(data))
		out = append(out, c)
		return err
	})
	slices.SortFunc(out, func(a, b Contract) int { return cmp.Compare(a.System, b.System) })
	return out, err
}

// Parse reads the contract that lies at name, a path below internal/.
func Parse(name, text string) (Contract, error) {
	p := &page{contract: Contract{File: name}, folder: strings.TrimPrefix(path.Dir(name), "internal/")}
	for number, line := range strings.Split(text, "\n") {
		if problem := p.read(line); problem != "" {
			return Contract{}, refuse(name, number+1, problem)
		}
	}
	switch {
	case p.contract.System == "":
		return Contract{}, refuse(name, 1, `has no first line "# Contract: " with the system's name`)
	case len(p.contract.Rules) == 0:
		return Contract{}, refuse(name, 1, "has no rules")
	case !p.gaps:
		return Contract{}, refuse(name, 1, fmt.Sprintf("has no %q", gaps))
	}
	return p.contract, nil
}

func refuse(name string, line int, problem string) error {
	return &fault.Error{Message: fmt.Sprintf("%s:%d %s", name, line, problem),
		Expected: "a table " + head + ", then " + gaps,
		Hint:     "see the other files of this name in internal/"}
}

// page is a contract while it is read.
type page struct {
	contract Contract
	folder   string // of the stand-in, below internal/
	table    bool   // inside the rules
	gaps     bool   // after the rules, in what is missing
}

// read takes one line and says what is wrong with it, or nothing.
func (p *page) read(line string) (problem string) {
	system, first := strings.CutPrefix(line, "# Contract: ")
	item, listed := strings.CutPrefix(line, "- ")
	switch {
	case first && p.contract.System == "":
		p.contract.System = strings.TrimSpace(system)
	case line == head && !p.gaps:
		p.table = true
	case line == ruler && p.table:
	case strings.HasPrefix(line, "|") && p.table:
		return p.rule(line)
	case line == gaps:
		p.table, p.gaps = false, true
	case listed && p.gaps:
		p.contract.Missing = append(p.contract.Missing, item)
	case strings.HasPrefix(line, "  ") && p.gaps && len(p.contract.Missing) > 0: // an item's second line
		p.contract.Missing[len(p.contract.Missing)-1] += " " + strings.TrimSpace(line)
	case strings.HasPrefix(line, "|") || strings.HasPrefix(line, "#"):
		return "is not understood: " + line
	case line != "" && (p.table || p.gaps):
		return "is neither a rule nor an item: " + line
	}
	return ""
}

// rule reads one row of the table.
func (p *page) rule(line string) (problem string) {
	cells := strings.Split(strings.Trim(line, "|"), "|")
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	if len(cells) != 4 || slices.Contains(cells, "") {
		return "is no row of four cells"
	}
	rule := Rule{Text: cells[0], Source: cells[1], Test: strings.Trim(cells[2], "`"), Sure: cells[3]}
	named := testName.FindStringSubmatch(rule.Test)
	switch {
	case named == nil:
		return fmt.Sprintf("names no test: %q", rule.Test)
	case !slices.Contains(sure, rule.Sure):
		return fmt.Sprintf("says %q where it should say how sure it is: %s", rule.Sure, strings.Join(sure, ", "))
	case slices.ContainsFunc(p.contract.Rules, func(r Rule) bool { return r.Text == rule.Text }):
		return "is a rule for the second time"
	}
	rule.Test = cmp.Or(named[1], p.folder) + "." + named[2]
	p.contract.Rules = append(p.contract.Rules, rule)
	return ""
}
