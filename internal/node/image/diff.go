package image

import (
	"maps"
	"slices"
	"strings"
)

// Change is one thing that differs between two images; empty means absent.
type Change struct {
	Kind     string // "package", "file", "binary", "kernel parameter", "base image" or "tool"
	Name     string
	Old, New string
}

// Diff names what moved from one image to the next. Either side may be nil.
func Diff(from, to *Record) []Change {
	var out []Change
	kinds := []string{"base image", "kernel parameter", "package", "binary", "file", "tool"}
	a, b := from.facts(), to.facts()
	for _, kind := range kinds {
		names := slices.Sorted(maps.Keys(a[kind]))
		for name := range b[kind] {
			if _, known := a[kind][name]; !known {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		for _, name := range names {
			if before, after := a[kind][name], b[kind][name]; before != after {
				out = append(out, Change{Kind: kind, Name: name, Old: before, New: after})
			}
		}
	}
	return out
}

// facts are the things that can move, by kind and name.
func (r *Record) facts() map[string]map[string]string {
	out := map[string]map[string]string{"base image": {}, "kernel parameter": {}, "package": {}, "binary": {}, "file": {},
		"tool": {}}
	if r == nil {
		return out
	}
	out["base image"]["image"] = r.Base.Project + "/" + r.Base.Name
	out["tool"] = r.Tools.versions()
	for _, p := range r.Packages {
		out["package"][p.Name+":"+p.Architecture] = p.Version
	}
	for _, b := range r.Binaries {
		out["binary"][b.Name] = b.Version + " " + b.SHA256.String()
	}
	for _, f := range r.Files {
		out["file"][f.Path] = f.summary()
	}
	for _, parameter := range strings.Fields(r.KernelCommandLine) {
		key, value, _ := strings.Cut(parameter, "=")
		out["kernel parameter"][key] = strings.TrimSpace(out["kernel parameter"][key] + " " + value)
	}
	return out
}

func (f File) summary() string {
	if f.Target != "" {
		return "-> " + f.Target
	}
	return f.Mode + " " + f.Owner + " " + f.SHA256.String()
}
