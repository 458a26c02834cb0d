package workflow_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const specPage = "docs/spec.md"

// sentence is a row of docs/spec.md.
type sentence struct {
	number     int
	says       string // in our words, without the mark
	differs    string // the reason why we do otherwise; empty in most rows
	unenforced string // the reason why no code can enforce it
	code, test []string
	pending    bool // a test is promised and not named yet
}

var (
	specRow  = regexp.MustCompile(`^\| (\d+) \| (.+?) \| (.+) \| (.+) \|$`)
	specMark = regexp.MustCompile(`^(.+?) \*\*(We differ|Not enforced):\*\* (.+)$`)
	specCell = regexp.MustCompile("^(?:`[^`]+`|pending [A-F])(?:, (?:`[^`]+`|pending [A-F]))*$")
	specItem = regexp.MustCompile("`([^`]+)`")
	specList = regexp.MustCompile(`(?m)^(We differ|Not enforced): rows ([0-9, ]+)\.$`)
)

const specNone = "–" // the cell of a marked row that names nothing

// sentences reads the rows of the page, and says what is wrong with their form.
func sentences(page string) (rows []sentence, wrong []string) {
	for line := range strings.Lines(page) {
		line = strings.TrimSuffix(line, "\n")
		if !strings.HasPrefix(line, "|") || line == "| no | the spec says (our words) | code | test |" ||
			line == "|---|---|---|---|" {
			continue
		}
		cells := specRow.FindStringSubmatch(line)
		if cells == nil {
			wrong = append(wrong, "not a row of four cells: "+line)
			continue
		}
		row, found := readSentence(cells)
		if row.number != len(rows)+1 {
			found = append(found, fmt.Sprintf("row %d stands where %d is expected", row.number, len(rows)+1))
		}
		rows, wrong = append(rows, row), append(wrong, found...)
	}
	return rows, wrong
}

func readSentence(cells []string) (row sentence, wrong []string) {
	row.number, _ = strconv.Atoi(cells[1])
	row.says = cells[2]
	if m := specMark.FindStringSubmatch(cells[2]); m != nil {
		row.says = m[1]
		if m[2] == "We differ" {
			row.differs = m[3]
		} else {
			row.unenforced = m[3]
		}
	}
	marked := row.differs + row.unenforced
	if marked != "" && len(strings.Fields(marked)) < 5 {
		wrong = append(wrong, fmt.Sprintf("row %d is marked without a reason", row.number))
	}
	for i, cell := range cells[3:] {
		column := []string{"code", "test"}[i]
		names := []*[]string{&row.code, &row.test}[i]
		switch {
		case cell == specNone && marked != "":
		case !specCell.MatchString(cell) || column == "code" && strings.Contains(cell, "pending"):
			wrong = append(wrong, fmt.Sprintf("row %d: its %s is no list of names: %s", row.number, column, cell))
		default:
			for _, m := range specItem.FindAllStringSubmatch(cell, -1) {
				*names = append(*names, m[1])
			}
			row.pending = row.pending || strings.Contains(specItem.ReplaceAllString(cell, ""), "pending")
		}
	}
	return row, wrong
}

// listed compares the page's two lists with the rows that are marked so.
func listed(page string, rows []sentence) (wrong []string) {
	said := map[string]string{}
	for _, m := range specList.FindAllStringSubmatch(page, -1) {
		said[m[1]] = m[2]
	}
	for mark, reason := range map[string]func(sentence) string{
		"We differ":    func(s sentence) string { return s.differs },
		"Not enforced": func(s sentence) string { return s.unenforced },
	} {
		var numbers []string
		for _, row := range rows {
			if reason(row) != "" {
				numbers = append(numbers, strconv.Itoa(row.number))
			}
		}
		if want := strings.Join(numbers, ", "); said[mark] != want {
			wrong = append(wrong, fmt.Sprintf("the list %q is %q, and the rows are %s", mark, said[mark], want))
		}
	}
	return wrong
}

// untrue says which names of the rows do not exist in the repository.
func untrue(rows []sentence, names *goNames) (wrong []string) {
	for _, row := range rows {
		for _, name := range row.code {
			if !names.code(name) {
				wrong = append(wrong, fmt.Sprintf("row %d: there is no code %s", row.number, name))
			}
		}
		for _, name := range row.test {
			if !names.test(name) {
				wrong = append(wrong, fmt.Sprintf("row %d: there is no test %s", row.number, name))
			}
		}
	}
	return wrong
}

// "The spec is walked sentence by sentence in docs/spec.md", and every name in it is true.
func TestTheSpecIsWalked(t *testing.T) {
	t.Parallel()
	text := page(t, specPage)
	rows, wrong := sentences(text)
	require.Empty(t, wrong)
	require.Len(t, rows, 201, "the sentences that an audit of the spec counted")
	require.Empty(t, listed(text, rows))
	require.Empty(t, untrue(rows, newGoNames(t, repository)))
}

// Every sentence has its test: none is promised for later.
func TestNoSentenceOfTheSpecIsPending(t *testing.T) {
	t.Parallel()
	rows, _ := sentences(page(t, specPage))
	require.NotEmpty(t, rows)
	var pending []int
	for _, row := range rows {
		if row.pending {
			pending = append(pending, row.number)
		}
	}
	require.Empty(t, pending, "rows of docs/spec.md whose test is not named yet")
}

// A page that lies, or leaves something out, is found out.
func TestAPageOfTheSpecThatLies(t *testing.T) {
	t.Parallel()
	good := []string{"We differ: rows 3.", "Not enforced: rows 4.", "| no | the spec says (our words) | code | test |",
		"|---|---|---|---|",
		"| 1 | one | `a/b.Do`, `a/b.T.Run` | `a/b.TestDo`, `a/b.TestDo/a case, with a comma` |",
		"| 2 | two | `flow.yaml` | `a/b.FuzzDo`, `case.txtar` |",
		"| 3 | three **We differ:** it is better so, and safer | `a/b.Limit` | – |",
		"| 4 | four **Not enforced:** only people can do this | – | – |"}
	root := scratch(t)
	judge := func(lines []string) []string {
		text := strings.Join(lines, "\n") + "\n"
		rows, wrong := sentences(text)
		return slices.Concat(wrong, listed(text, rows), untrue(rows, newGoNames(t, root)))
	}
	require.Empty(t, judge(good))
	for name, tc := range map[string]struct{ old, with, want string }{
		"a function that is not there":    {"a/b.Do`", "a/b.Gone`", "row 1: there is no code a/b.Gone"},
		"a method of another type":        {"b.T.Run", "b.U.Run", "there is no code a/b.U.Run"},
		"a method that is not there":      {"b.T.Run", "b.T.Walk", "there is no code a/b.T.Walk"},
		"a package that is not there":     {"a/b.Limit", "a/c.Limit", "there is no code a/c.Limit"},
		"a test's helper as code":         {"a/b.Limit", "a/b.helper", "there is no code a/b.helper"},
		"a test as code":                  {"a/b.Limit", "a/b.TestDo", "there is no code a/b.TestDo"},
		"a file that is not there":        {"flow.yaml", "none.yaml", "there is no code none.yaml"},
		"a folder":                        {"flow.yaml", "a/b", "there is no code a/b"},
		"a test that is not there":        {"b.TestDo`", "b.TestGone`", "there is no test a/b.TestGone"},
		"a subtest that is not there":     {"a case, with", "another, with", "there is no test a/b.TestDo/another"},
		"a subtest of another file":       {"a case, with a comma", "of another file", "there is no test a/b.TestDo/of"},
		"code as a test":                  {"b.FuzzDo", "b.Do", "there is no test a/b.Do"},
		"a script that is not there":      {"case.txtar", "none.txtar", "there is no test none.txtar"},
		"a gap in the numbers":            {"| 2 |", "| 5 |", "row 5 stands where 2 is expected"},
		"a number twice":                  {"| 2 |", "| 1 |", "row 1 stands where 2 is expected"},
		"no test":                         {"`a/b.FuzzDo`, `case.txtar`", "–", "row 2: its test is no list of names"},
		"no code":                         {"`flow.yaml`", "–", "row 2: its code is no list of names"},
		"an empty cell":                   {"`flow.yaml`", " ", "row 2: its code is no list of names"},
		"a cell too few":                  {" | `flow.yaml`", "", "not a row of four cells"},
		"words instead of a name":         {"`flow.yaml`", "the workflow", "row 2: its code is no list of names"},
		"code that is pending":            {"`flow.yaml`", "pending A", "row 2: its code is no list of names"},
		"a difference without a reason":   {"it is better so, and safer", "so", "row 3 is marked without a reason"},
		"a difference that is not listed": {"We differ: rows 3.", "We differ: rows 2.", `"We differ" is "2"`},
		"no list":                         {"Not enforced: rows 4.", "", `"Not enforced" is ""`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad, changed := slices.Clone(good), false
			for i, line := range bad {
				if !changed && strings.Contains(line, tc.old) {
					bad[i], changed = strings.Replace(line, tc.old, tc.with, 1), true
				}
			}
			require.True(t, changed)
			require.Contains(t, strings.Join(judge(bad), "\n"), tc.want)
		})
	}
	rows, wrong := sentences("| 1 | one | `a/b.Do` | `a/b.TestDo`, pending C |\n")
	require.Empty(t, wrong)
	require.True(t, rows[0].pending)
}

// scratch is a repository with one package.
func scratch(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"flow.yaml": "on: push\n", "case.txtar": "exec true\n",
		"a/b/b.go": "package b\n\nconst Limit = 1\n\ntype T struct{}\n\ntype U struct{}\n\nfunc Do() {}\n\n" +
			"func (t *T) Run() {}\n",
		"a/b/b_test.go": "package b_test\n\nfunc helper() {}\n\nfunc TestDo(t *testing.T) {\n\tt.Run(" +
			`"a case, with a comma"` + ", nil)\n}\n\nfunc FuzzDo(f *testing.F) {}\n",
		"a/b/other_test.go": "package b\n\nfunc TestOther(t *testing.T) { t.Run(\"of another file\", nil) }\n",
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return dir
}
