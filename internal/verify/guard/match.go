package guard

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// GitHub's contexts ignore case (vars.allowed_mrtd reads ALLOWED_MRTD), Linux
// environments do not. So case is ignored where a name is set or looked up, and
// minded in plain text, where allowed_mrtd is also a field of the policy file.
var (
	mention    = regexp.MustCompile(`(?:^|[^A-Za-z0-9_])(ALLOWED_[A-Za-z0-9_]*)`)
	anyCase    = regexp.MustCompile(`(?i)(?:^|[^A-Za-z0-9_])(ALLOWED_[A-Za-z0-9_]*)`)
	specName   = regexp.MustCompile(`(?i)^(ALLOWED_(?:MRTD|RTMR[0-9]|TCB_STATUS(?:ES)?))$`)
	assignment = regexp.MustCompile(`(?i)(?:^|[^A-Za-z0-9_.$])(ALLOWED_[A-Za-z0-9_]*)(?:\+?=|<<)`)
	exporting  = regexp.MustCompile(`(?i)(?:^|[^A-Za-z0-9_.-])(?:export|declare|typeset|readonly|read)\s+(?:-\S+\s+)*(ALLOWED_[A-Za-z0-9_]*)`)
	expression = regexp.MustCompile(`(?s)\$\{\{.*?\}\}`)
)

func startsAllowed(name string) bool {
	return len(name) >= len("ALLOWED_") && strings.EqualFold(name[:len("ALLOWED_")], "ALLOWED_")
}

// Places of a workflow or an action, as patterns over the path of keys.
const (
	scripts      = "jobs/*/steps/*/run runs/steps/*/run"
	environments = "env jobs/*/env jobs/*/steps/*/env jobs/*/container/env jobs/*/services jobs/*/services/*/env runs/env runs/steps/*/env"
	conditions   = "jobs/*/if jobs/*/steps/*/if runs/steps/*/if runs/pre-if runs/post-if"
	// text for people, which may say what it likes
	prose = "name run-name description jobs/*/name jobs/*/steps/*/name runs/steps/*/name inputs/*/description " +
		"outputs/*/description on/workflow_*/inputs/*/description on/workflow_call/*/*/description"
)

func matches(at []string, places string) bool {
	key := strings.Join(at, "/")
	return slices.ContainsFunc(strings.Fields(places), func(p string) bool { ok, _ := path.Match(p, key); return ok })
}

func (s *scanner) expressions(at []string, n *yaml.Node) {
	for _, e := range expression.FindAllString(n.Value, -1) {
		s.match(anyCase, at, n.Line, e)
	}
}

func (s *scanner) match(form *regexp.Regexp, at []string, line int, text string) bool {
	m := form.FindStringSubmatch(text)
	if m != nil {
		s.add(line, "%s in %s", m[1], strings.Join(at, "."))
	}
	return m != nil
}

// lineOf is the line in the file of a scalar's line; a folded scalar has lost its own lines.
func lineOf(n *yaml.Node, index int) int {
	if n.Style&yaml.LiteralStyle != 0 {
		return n.Line + 1 + index
	}
	return n.Line
}

// posixOnly is false as soon as a script of the file may be for another shell:
// one is named, or the file speaks of Windows, where pwsh is the default.
func posixOnly(n *yaml.Node) bool {
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 1 && n.Content[i-1].Value == "shell" && !posixShell.MatchString(c.Value) {
			return false
		}
		if !posixOnly(c) {
			return false
		}
	}
	return !strings.Contains(strings.ToLower(n.Value), "windows")
}

var posixShell = regexp.MustCompile(`^(ba)?sh( |$)`)
