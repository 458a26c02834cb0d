package dev

import (
	"bytes"
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// ticks are the kernel's units of CPU time in a second, in what /proc says (USER_HZ, 100 wherever Go runs).
const ticks = 100

// process is a process as /proc shows it.
type process struct {
	id, parent int
	started    uint64   // since the machine's start: with id it names a process for good
	cpu        float64  // seconds, its own and of those children that it has waited for
	arguments  []string // its program first
}

// key tells two processes apart that had one number.
type key struct {
	id      int
	started uint64
}

// part is what a go command compiled, and what that cost so far.
type part struct {
	name string
	cpu  float64 // seconds
}

// sampler tells the compiled parts of a command apart. It looks at the
// command's processes now and then: of each go command it knows what it and its
// compilers had used when it was looked at last. proc is the folder /proc.
type sampler struct {
	proc   fs.FS
	root   int // the command, which is a go command too
	own    float64
	frozen bool // the root has begun to run what it compiled
	parts  map[key]part
}

func newSampler(proc fs.FS, root int) *sampler {
	return &sampler{proc: proc, root: root, parts: map[key]part{}}
}

// look takes note of what the command's processes have used. What ends while it
// looks is passed over; a system without /proc shows nothing.
func (s *sampler) look() {
	all := s.processes()
	under := descendants(all, s.root)
	for id, p := range under {
		if slices.Equal(p.arguments, all[p.parent].arguments) {
			continue // a fork that has not become its program yet
		}
		if name := partOf(p.arguments); name != "" && !s.within(under, id) {
			s.parts[key{p.id, p.started}] = part{name, p.cpu}
		}
		s.frozen = s.frozen || p.program() != "" && !strings.Contains(p.program(), "/pkg/tool/")
	}
	if root, there := all[s.root]; there && !s.frozen {
		s.own = root.cpu
	}
}

// within says whether a process belongs to a go command below the root: what it uses is counted there.
func (s *sampler) within(under map[int]process, id int) bool {
	for p, ok := under[under[id].parent]; ok; p, ok = under[p.parent] {
		if partOf(p.arguments) != "" {
			return true
		}
	}
	return false
}

// byName are the parts' CPU seconds, what costs most first.
func (s *sampler) byName() []part {
	sums := map[string]float64{}
	for _, p := range s.parts {
		sums[p.name] += p.cpu
	}
	var out []part
	for name, cpu := range sums {
		out = append(out, part{name, cpu})
	}
	if s.own > 0 {
		out = append(out, part{"mage", s.own})
	}
	slices.SortFunc(out, func(a, b part) int {
		return cmp.Or(cmp.Compare(b.cpu, a.cpu), cmp.Compare(a.name, b.name))
	})
	return out
}

func (s *sampler) processes() map[int]process {
	out := map[int]process{}
	entries, err := fs.ReadDir(s.proc, ".")
	if err != nil {
		return out
	}
	for _, e := range entries {
		id, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := fs.ReadFile(s.proc, path.Join(e.Name(), "stat"))
		if err != nil {
			continue
		}
		p, err := parseStat(stat)
		if err != nil || p.id != id {
			continue
		}
		if line, err := fs.ReadFile(s.proc, path.Join(e.Name(), "cmdline")); err == nil && len(line) > 0 {
			p.arguments = strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
		}
		out[id] = p
	}
	return out
}

// descendants are the processes below one, without it.
func descendants(all map[int]process, root int) map[int]process {
	out := map[int]process{}
	for id, p := range all {
		above := p.parent
		for range all { // a chain is no longer than that
			if above == root {
				out[id] = p
				break
			}
			above = all[above].parent
		}
	}
	return out
}

func (p process) program() string {
	if len(p.arguments) == 0 {
		return ""
	}
	return p.arguments[0]
}

// partOf names what a go command compiles: the file it is asked to write, or
// the targets, whose file has a name of no meaning; "" for another program.
func partOf(arguments []string) string {
	if len(arguments) < 2 || path.Base(arguments[0]) != "go" {
		return ""
	}
	output := ""
	for i, a := range arguments {
		switch {
		case path.Base(a) == "mage_output_file.go":
			return "the targets"
		case a == "-o" && i+1 < len(arguments):
			output = path.Base(arguments[i+1])
		}
	}
	if arguments[1] != "build" || output == "" {
		return "other go commands"
	}
	return strings.TrimSuffix(strings.TrimSuffix(output, "-linux-amd64"), "-linux-arm64")
}

// parseStat reads /proc/PID/stat (man 5 proc_pid_stat): the name in parentheses may hold anything.
func parseStat(stat []byte) (process, error) {
	open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if open < 1 || end < open {
		return process{}, fmt.Errorf("no process's stat: %.80q", stat)
	}
	id, err := strconv.Atoi(string(bytes.TrimSpace(stat[:open])))
	if err != nil || id < 1 {
		return process{}, fmt.Errorf("no process's number: %.80q", stat[:open])
	}
	rest := strings.Fields(string(stat[end+1:])) // from the third field on
	const parent, firstTime, lastTime, started = 1, 11, 14, 19
	if len(rest) <= started {
		return process{}, fmt.Errorf("%d fields after a process's name, not %d: %.80q", len(rest), started+1, stat)
	}
	p := process{id: id}
	if p.parent, err = strconv.Atoi(rest[parent]); err != nil {
		return process{}, err
	}
	for _, field := range rest[firstTime : lastTime+1] {
		n, err := strconv.ParseUint(field, 10, 63)
		if err != nil {
			return process{}, err
		}
		p.cpu += float64(n) / ticks
	}
	p.started, err = strconv.ParseUint(rest[started], 10, 64)
	return p, err
}
