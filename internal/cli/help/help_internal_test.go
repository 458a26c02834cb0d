package help

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/magefile/mage/mage"
	"github.com/magefile/mage/parse"
	"github.com/stretchr/testify/require"
)

const repository = "../../.."

func manual(t *testing.T) *Manual {
	t.Helper()
	m, err := Read("go", repository)
	require.NoError(t, err)
	return m
}

func names(targets []Target) (out []string) {
	for _, t := range targets {
		out = append(out, t.Name)
	}
	return out
}

// Each target of Mage's own list, by the name that it has there, is in exactly one of the groups that we know.
func TestEachTargetIsInOneGroup(t *testing.T) {
	t.Parallel()
	var list, said bytes.Buffer
	require.Zero(t, mage.ParseAndRun(&list, &said, strings.NewReader(""), []string{"-d", repository, "-l"}), said.String())
	_, table, found := strings.Cut(list.String(), "\nTargets:\n")
	require.True(t, found, list.String())
	var real []string
	for _, m := range regexp.MustCompile(`(?m)^  ([a-zA-Z0-9:]+) `).FindAllStringSubmatch(table, -1) {
		real = append(real, m[1])
	}
	require.Greater(t, len(real), 70)
	var grouped, titles []string
	m := manual(t)
	for _, g := range m.Groups() {
		grouped, titles = append(grouped, names(g.Targets)...), append(titles, g.Title)
	}
	require.ElementsMatch(t, real, grouped)
	var want []string
	for _, s := range sections() {
		want = append(want, s.title)
		for _, name := range s.names {
			require.Contains(t, real, name, "the group %q names a target that there is not", s.title)
		}
		for _, space := range s.namespaces {
			require.True(t, slices.ContainsFunc(m.Targets, func(t Target) bool { return t.namespace() == space }),
				"the group %q names a namespace that there is not: %q", s.title, space)
		}
	}
	require.Equal(t, want, titles, "a group without a target, or a namespace without a group")
	require.Equal(t, "release:kms", grouped[0], "a newcomer's first command")
}

// A new target falls into the group of its namespace, and a new namespace is a group of its own.
func TestANewTarget(t *testing.T) {
	t.Parallel()
	m := &Manual{Targets: []Target{{Name: "attest:node"}, {Name: "tidy"}, {Name: "kms:new"}, {Name: "doctor"},
		{Name: "attest:kms"}, {Name: "release:other"}, {Name: "release:node"}, {Name: "e2e:x"}, {Name: "guard:x"}}}
	got := map[string][]string{}
	var titles []string
	for _, g := range m.Groups() {
		got[g.Title], titles = names(g.Targets), append(titles, g.Title)
	}
	require.Equal(t, map[string][]string{"Begin here": {"doctor"}, "Release": {"release:node", "release:other"},
		"Single steps of a key service's release": {"kms:new"}, "Guards and end-to-end tests": {"guard:x", "e2e:x"},
		"Develop": {"tidy"}, "attest": {"attest:node", "attest:kms"}}, got)
	require.Equal(t, "attest", titles[len(titles)-1])
}

// Steps stand in the order of their release, not in that of the alphabet.
func TestTargetsKeepTheirOrder(t *testing.T) {
	t.Parallel()
	all := names(manual(t).Targets)
	require.Less(t, slices.Index(all, "kms:version"), slices.Index(all, "kms:build"))
	require.Less(t, slices.Index(all, "node:publish"), slices.Index(all, "node:audit"))
}

func TestFind(t *testing.T) {
	t.Parallel()
	m := manual(t)
	for name, want := range map[string]string{"release:KMS": "release:kms", "kms:composehash": "kms:composeHash",
		"buildkms": "kms:build", "CollectMeasurements": "node:measure"} {
		require.Equal(t, want, m.Find(name).Name, name)
	}
	require.Nil(t, m.Find("kms"))
	require.Nil(t, m.Find(""))
}

// Mage's error for a folder without magefiles.
func TestNothingToRead(t *testing.T) {
	t.Parallel()
	_, err := Read("go", t.TempDir())
	require.Error(t, err)
}

func TestSpelled(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"KMS:ComposeHash": "kms:composeHash", "E2e:Node": "e2e:node", "CI": "ci",
		"Node:SBOM": "node:sbom", "TLSPort": "tlsPort", "lower": "lower", "": ""} {
		require.Equal(t, want, spelled(name))
	}
}

func TestReadingAComment(t *testing.T) {
	t.Parallel()
	require.Equal(t, Target{Does: "does it.", More: "And more, on two lines. A third paragraph.",
		Arguments: []Argument{{"TAG", "the one, and on"}, {"-quick", "less of it"}},
		Needs:     "a, and b.", Leaves: "c.", See: "docs/c.md",
		Examples: []string{"go tool mage x T", "go tool mage x T -quick"}},
		read("Do", "Do does it. And more,\non two lines.\n\n"+
			"\tTAG       the one,\n\t          and on\n\t-quick    less of it\n\n"+
			"Needs: a,\nand b.\nLeaves: c.\nSee: docs/c.md\nExample: go tool mage x T\nExample: go tool mage x T -quick\n\n"+
			"A third paragraph."))
	require.Equal(t, Target{}, read("Do", ""))
	require.Equal(t, Target{Does: "Other words."}, read("Do", "Other words."))
	require.Equal(t, Target{Arguments: []Argument{{"", "an indented word of nothing"}}},
		read("Do", "\t  an indented word of nothing"))
}

var small = Manual{About: "All of it\nis here.\n\nBegin.", Targets: []Target{
	{Name: "doctor", Does: "looks."},
	{Name: "kms:build", Does: "builds a thing of many words, which take more than one line.", More: "It does.",
		Arguments: []Argument{{"-file=FILE", "of this"}, {"-tag=TAG", "required: the release, whose name is long"}},
		Needs:     "nothing.", Leaves: "a file.", Aliases: []string{"BuildKMS"},
		Examples: []string{"go tool mage kms:build", "go tool mage kms:build -file=x"}}}}

func TestWriting(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	require.NoError(t, small.WriteList(&b, Within(0)))
	require.Equal(t, "All of it is here.\n\nBegin.\n\nBegin here\n  doctor     looks\n\n"+
		"Single steps of a key service's release\n"+
		"  kms:build  builds a thing of many words, which take more than one line\n", b.String())
	b.Reset()
	require.NoError(t, small.WriteList(&b, Within(1)))
	require.Equal(t, "All of it is here.\n\nBegin.\n\nBegin here\n  doctor     looks\n\n"+
		"Single steps of a key service's release\n"+
		"  kms:build  builds a thing of many\n             words, which take more than\n             one line\n", b.String())
	b.Reset()
	require.NoError(t, small.Targets[1].Write(&b, 60))
	require.Equal(t, "kms:build builds a thing of many words, which take more than\none line. It does.\n\n"+
		"Usage:   go tool mage kms:build [-file=FILE] -tag=TAG\n\n"+
		"  -file=FILE  of this\n  -tag=TAG    required: the release, whose name is long\n\n"+
		"Needs:   nothing.\nLeaves:  a file.\nExample: go tool mage kms:build\nExample: go tool mage kms:build -file=x\n"+
		"Alias:   BuildKMS\n", b.String())
	require.Equal(t, 80, Within(80))
	require.Equal(t, Width, Within(300))
}

// A name that leaves no room beside it has its words below.
func TestWritingALongName(t *testing.T) {
	t.Parallel()
	m := Manual{Targets: []Target{{Name: "kms:" + strings.Repeat("x", 30), Does: "is long."}}}
	var b strings.Builder
	require.NoError(t, m.WriteList(&b, 40))
	require.Contains(t, b.String(), "\n  kms:"+strings.Repeat("x", 30)+"\n    is long\n")
}

// In 100 columns every target of the real list is one line, and in fewer no line is longer than the terminal.
func TestTheListFits(t *testing.T) {
	t.Parallel()
	m := manual(t)
	for _, width := range []int{Width, 80, 60} {
		var b bytes.Buffer
		require.NoError(t, m.WriteList(&b, width))
		for line := range strings.Lines(b.String()) {
			require.LessOrEqual(t, len([]rune(strings.TrimSuffix(line, "\n"))), width, line)
		}
		require.NotContains(t, b.String(), "\x1b", "no colours")
		if width == Width {
			for _, target := range m.Targets {
				require.Regexp(t, `(?m)^  `+target.Name+` +`+regexp.QuoteMeta(strings.TrimSuffix(target.Does, "."))+`$`,
					b.String())
			}
		}
	}
}

// What the help of each target must have, and what of it must be true.
func TestEveryTargetIsExplained(t *testing.T) {
	t.Parallel()
	m := manual(t)
	for _, target := range m.Targets {
		require.Empty(t, wrong(m, target), target.Name)
	}
}

// A comment that lacks something, or says what is not so, is found out.
func TestACommentThatLies(t *testing.T) {
	t.Parallel()
	good := "Do does it.\n\n" +
		"\tTAG       the release\n\tN         how many\n\t-quick    less\n\t-to=FILE  required: where to\n\n" +
		"Needs: kms:build, which it brings.\nLeaves: FILE.\nSee: docs/faq.md\nExample: go tool mage kms:do T 3 -quick -to=x\n"
	takes := []parse.Arg{{Name: "tag", Type: "string"}, {Name: "n", Type: "int"},
		{Name: "quick", Type: "bool", Optional: true}, {Name: "to", Type: "string", Optional: true}}
	judge := func(comment string) []string {
		target := read("Do", comment)
		target.Name, target.Takes = "kms:do", takes
		return wrong(&Manual{Targets: []Target{target, {Name: "kms:build"}}}, target)
	}
	require.Empty(t, judge(good))
	for name, tc := range map[string]struct{ old, with, want string }{
		"no comment":                      {good, "", "it does not say what it does"},
		"a sentence without an end":       {"Do does it.", "Do does it", "its first sentence has no end"},
		"a long sentence":                 {"does it.", strings.Repeat("does it ", 10) + ".", "its first sentence has"},
		"no needs":                        {"Needs: kms:build, which it brings.\n", "", "it does not say what it needs"},
		"no leaves":                       {"Leaves: FILE.\n", "", "it does not say what it leaves"},
		"needs without an end":            {"it brings.", "it brings", "what it needs is no sentence"},
		"needs a target that is not":      {"kms:build", "kms:make", "there is no target kms:make"},
		"a page that is not":              {"faq.md", "questions.md", "there is no page docs/questions.md"},
		"an argument that is not there":   {"\tN         how many\n", "", "it explains the arguments TAG, and takes tag n"},
		"an argument too many":            {"\tN  ", "\tM         more\n\tN  ", "it explains the arguments TAG M N"},
		"an argument without a meaning":   {"how many", "", "N means nothing"},
		"a flag that is not explained":    {"\t-quick    less\n", "", "it explains the flags -to, and takes -quick -to"},
		"a flag that is not taken":        {"\t-quick", "\t-slow     more\n\t-quick", "it explains the flags -quick -slow"},
		"a value of a flag without one":   {"-quick    less", "-quick=Q  less", "-quick takes no value"},
		"no value of a flag with one":     {"-to=FILE", "-to     ", "-to takes a value"},
		"no example":                      {"Example: go tool mage kms:do T 3 -quick -to=x\n", "", "it has no example"},
		"an example of another program":   {"go tool mage kms", "mage kms", "no example of it"},
		"an example of another":           {"mage kms:do T", "mage kms:build T", "no example of it"},
		"an example with too little":      {"kms:do T 3", "kms:do T", "the example gives 1 arguments, not 2"},
		"an example with too much":        {"kms:do T 3", "kms:do T 3 4", "the example gives 3 arguments, not 2"},
		"an example without a number":     {"do T 3", "do T x", "is no number"},
		"an example with another flag":    {"-quick -to", "-slow -to", "the example has a flag that is not taken: -slow"},
		"an example with a bare flag":     {"-quick -to=x", "-quick -to", "-to has no value in the example"},
		"an example without a must":       {" -to=x", "", "the example lacks -to"},
		"an example that no shell parses": {"-to=x", "-to='x", "the example is no command"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, good, tc.old)
			found := judge(strings.Replace(good, tc.old, tc.with, 1))
			require.Contains(t, strings.Join(found, "\n"), tc.want)
		})
	}
}

var targetNames = regexp.MustCompile(
	`\b(?:kms|node|release|verify|policy|catalog|guard|e2e|config|measurement|rehearse):[a-zA-Z][a-zA-Z0-9]*`)

// wrong says what is missing of a target's help, and what is not so.
func wrong(m *Manual, t Target) (out []string) {
	switch long := len([]rune(t.Does)); {
	case t.Does == "":
		out = append(out, "it does not say what it does")
	case !strings.HasSuffix(t.Does, "."):
		out = append(out, "its first sentence has no end")
	case long > 75: // one line beside the longest name, without the full stop
		out = append(out, "its first sentence has too many letters for the list")
	}
	for what, text := range map[string]string{"needs": t.Needs, "leaves": t.Leaves} {
		if text == "" {
			out = append(out, "it does not say what it "+what)
		} else if !strings.HasSuffix(text, ".") {
			out = append(out, "what it "+what+" is no sentence")
		}
	}
	for _, name := range targetNames.FindAllString(t.More+" "+t.Needs+" "+t.Leaves, -1) {
		if m.Find(name) == nil {
			out = append(out, "there is no target "+name)
		}
	}
	if _, err := os.Stat(filepath.Join(repository, t.See)); err != nil {
		out = append(out, "there is no page "+t.See)
	}
	return slices.Concat(out, wrongArguments(t), wrongExamples(t))
}

// wrongArguments compares what is explained with what the function takes.
func wrongArguments(t Target) (out []string) {
	var explained, taken [2][]string // arguments, flags
	for _, a := range t.Arguments {
		name, value, valued := strings.Cut(a.Form, "=")
		kind := 0
		if strings.HasPrefix(name, "-") {
			kind = 1
		}
		explained[kind] = append(explained[kind], name)
		if a.Means == "" {
			out = append(out, a.Form+" means nothing")
		}
		for _, p := range t.Takes {
			if kind == 0 || "-"+p.Name != name {
				continue
			}
			if p.Type == "bool" && valued {
				out = append(out, name+" takes no value")
			}
			if p.Type != "bool" && value == "" {
				out = append(out, name+" takes a value")
			}
		}
	}
	for _, p := range t.Takes {
		if p.Optional {
			taken[1] = append(taken[1], "-"+p.Name)
		} else {
			taken[0] = append(taken[0], p.Name)
		}
	}
	if len(explained[0]) != len(taken[0]) {
		out = append(out, "it explains the arguments "+strings.Join(explained[0], " ")+", and takes "+
			strings.Join(taken[0], " "))
	}
	slices.Sort(explained[1])
	slices.Sort(taken[1])
	if !slices.Equal(explained[1], taken[1]) {
		out = append(out, "it explains the flags "+strings.Join(explained[1], " ")+", and takes "+
			strings.Join(taken[1], " "))
	}
	return out
}
