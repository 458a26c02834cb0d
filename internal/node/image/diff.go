package image

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/osrelease"
)

// Change is one thing that differs between two images; empty means absent.
type Change struct {
	Kind     string // one of those in kinds
	Name     string
	Old, New string
}

// kinds are the kinds of changes, in the order in which they are named.
func kinds() []string {
	return []string{"base image", "UKI", "kernel", "initrd", "kernel parameter", "os-release", "root hash", "package",
		"source", "binary", "file", "tool"}
}

// String is the whole change in a line.
func (c Change) String() string {
	line := c.Kind + " " + c.Moved()
	if reaches := c.Reaches(); reaches != "" {
		line += " (" + reaches + ")"
	}
	return line
}

// Moved is what was and is, without what was absent.
func (c Change) Moved() string {
	switch {
	case c.Old == "":
		return fmt.Sprintf("%s is new: %s", c.Name, c.New)
	case c.New == "":
		return fmt.Sprintf("%s is gone, was %s", c.Name, c.Old)
	}
	return fmt.Sprintf("%s: %s, was %s", c.Name, c.New, c.Old)
}

// Reaches says by what a change of its kind moves registers; empty: by nothing of its own.
func (c Change) Reaches() string {
	switch c.Kind {
	case "UKI":
		return "it is measured into RTMR1"
	case "kernel", "initrd", "kernel parameter", "os-release":
		return "in the UKI: RTMR1 and RTMR2"
	case "root hash":
		return "on the command line in the UKI: RTMR1 and RTMR2"
	case "package", "source", "binary", "file":
		return "in the root, by its hash: RTMR1 and RTMR2"
	}
	return ""
}

// Words are those of the measured events that a record predicts, by their digests. R may be nil.
func (r *Record) Words() map[tdx.Register]string {
	out := map[tdx.Register]string{}
	if r == nil {
		return out
	}
	for _, e := range slices.Concat(r.Boot.RTMR1, r.Boot.RTMR2) {
		out[e.Digest] = e.Words
	}
	return out
}

// Diff names what moved from one image to the next. Either side may be nil.
func Diff(from, to *Record) []Change {
	var out []Change
	a, b := from.facts(), to.facts()
	for _, kind := range kinds() {
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
	out := map[string]map[string]string{}
	for _, kind := range kinds() {
		out[kind] = map[string]string{}
	}
	if r == nil {
		return out
	}
	out["base image"]["image"] = r.Base.Project + "/" + r.Base.Name
	out["UKI"]["BOOTX64.EFI"] = r.Boot.UKI.String()
	out["kernel"][".linux"] = r.Boot.Kernel.String()
	out["initrd"][".initrd"] = r.Boot.Initrd.String()
	out["root hash"]["root"] = r.Boot.RootHash.String()
	out["tool"] = r.Tools.versions()
	for _, p := range r.Packages {
		out["package"][p.Name+":"+p.Architecture] = p.Version
		out["source"][p.Name+":"+p.Architecture] = p.upstream()
	}
	said, _ := osrelease.Parse(r.Boot.OSRelease) // where it cannot be read, its event says that it moved
	for name, value := range said {
		out["os-release"][name] = cmp.Or(value, bare)
	}
	for _, b := range r.Binaries {
		out["binary"][b.Name] = b.Version + " " + b.SHA256.String()
	}
	for _, f := range r.Files {
		out["file"][f.Path] = f.summary()
	}
	for _, parameter := range strings.Fields(r.Boot.CommandLine) {
		key, value, _ := strings.Cut(parameter, "=")
		out["kernel parameter"][key] = strings.TrimSpace(out["kernel parameter"][key] + " " + cmp.Or(value, bare))
	}
	return out
}

// bare is what something says that is there and has no value: it is not absent.
const bare = "without a value"

func (f File) summary() string {
	if f.Target != "" {
		return "-> " + f.Target
	}
	return f.Mode + " " + f.Owner + " " + f.SHA256.String()
}
