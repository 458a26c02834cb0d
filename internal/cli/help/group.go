package help

import (
	"slices"
	"strings"
)

// Group is targets that people look for together.
type Group struct {
	Title   string
	Targets []Target
}

// section is what belongs to a group: the targets that are named, in this order, and the rest of the namespaces.
type section struct {
	title             string
	names, namespaces []string
}

// sections are the groups in the order in which a newcomer needs them. The namespace "" is that of targets without one.
func sections() []section {
	return []section{
		{"Begin here", []string{"release:kms", "verify:release", "release:report", "doctor"}, nil},
		{"Release", []string{"release:node", "release:new", "release:plan", "release:status", "sweep"}, []string{"release"}},
		{"Single steps of a key service's release", nil, []string{"kms"}},
		{"Single steps of the node images' release", nil, []string{"node"}},
		{"Guards and end-to-end tests", nil, []string{"guard", "e2e"}},
		{"Policies", nil, []string{"policy"}},
		{"Verify, explain, configure", nil, []string{"verify", "measurement", "config"}},
		{"Compatibility catalog", nil, []string{"catalog"}},
		{"Rehearse", nil, []string{"rehearse"}},
		{"Develop", nil, []string{""}},
	}
}

// Groups are all targets, each in one group. A namespace that no section names is a group of its own, at the end.
func (m *Manual) Groups() []Group {
	all := sections()
	named := map[string]int{}
	for i, s := range all {
		for _, name := range s.names {
			named[name] = i
		}
	}
	var out []Group
	for _, s := range all {
		out = append(out, Group{Title: s.title})
	}
	for _, t := range m.Targets {
		i, found := named[t.Name]
		if !found {
			i = slices.IndexFunc(all, func(s section) bool { return slices.Contains(s.namespaces, t.namespace()) })
		}
		if i < 0 {
			i = len(all)
			all = append(all, section{title: t.namespace(), namespaces: []string{t.namespace()}})
			out = append(out, Group{Title: t.namespace()})
		}
		out[i].Targets = append(out[i].Targets, t)
	}
	for i, s := range all {
		slices.SortStableFunc(out[i].Targets, func(a, b Target) int { return s.rank(a) - s.rank(b) })
	}
	return slices.DeleteFunc(out, func(g Group) bool { return len(g.Targets) == 0 })
}

// rank puts what is named first, then the rest namespace by namespace.
func (s section) rank(t Target) int {
	if i := slices.Index(s.names, t.Name); i >= 0 {
		return i
	}
	return len(s.names) + slices.Index(s.namespaces, t.namespace())
}

func (t Target) namespace() string {
	before, _, found := strings.Cut(t.Name, ":")
	if !found {
		return ""
	}
	return before
}
