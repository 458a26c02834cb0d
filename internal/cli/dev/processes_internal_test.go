package dev

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// shown is a process in a folder /proc: its parent, its CPU time and that of its
// children in hundredths of a second, and its command line.
func shown(proc fstest.MapFS, id, parent, own, children int, command string) {
	stat := fmt.Sprintf("%d (a (b) c) S %d 1 1 0 -1 4194304 9 0 0 0 %d 0 %d 0 20 0 1 0 %d 0 0\n",
		id, parent, own, children, 1000+id)
	proc[fmt.Sprintf("%d/stat", id)] = &fstest.MapFile{Data: []byte(stat)}
	line := strings.ReplaceAll(command, " ", "\x00") + "\x00"
	proc[fmt.Sprintf("%d/cmdline", id)] = &fstest.MapFile{Data: []byte(line)}
}

// What a command compiles is told apart: Mage by what the first go command used before anything of it ran, each
// program by the file that it becomes, and nothing is counted twice or for somebody else.
func TestPartsOfACommand(t *testing.T) {
	t.Parallel()
	proc := fstest.MapFS{"self": &fstest.MapFile{}, "cpuinfo": &fstest.MapFile{}, "99/stat": &fstest.MapFile{}}
	s := newSampler(proc, 10)
	const root, syft = "go tool mage release:kms", "/go/bin/go build -C tools/syft -o /c/.build/syft ."
	shown(proc, 1, 0, 5000, 0, "init")
	shown(proc, 10, 1, 20, 100, root)
	shown(proc, 11, 10, 300, 0, "/go/pkg/tool/linux_amd64/compile -o x")
	shown(proc, 12, 10, 0, 0, root) // not yet another program
	s.look()
	shown(proc, 10, 1, 30, 400, root)
	delete(proc, "11/stat")
	s.look()
	shown(proc, 12, 10, 1, 0, "/cache/mage release:kms")
	shown(proc, 13, 12, 2, 30, "go build -o /h/targets-1 /r/magefiles/kms.go /r/magefiles/mage_output_file.go")
	shown(proc, 14, 12, 3, 0, "go env GOFLAGS")
	shown(proc, 20, 1, 9000, 9000, "go build -o other .")
	s.look()
	shown(proc, 10, 1, 31, 9999, root) // it has waited for all
	shown(proc, 13, 12, 2, 6000, "go build -o /h/targets-1 /r/magefiles/kms.go /r/magefiles/mage_output_file.go")
	shown(proc, 15, 12, 50, 1950, syft)
	shown(proc, 16, 15, 700, 0, "/go/pkg/tool/linux_amd64/link -o x")
	shown(proc, 17, 15, 40, 0, "go list ./...")
	shown(proc, 18, 12, 0, 450, "go build -C /r -o /t/mero-kms-linux-amd64 ./docker/mero-kms")
	s.look()
	for id := range 20 {
		delete(proc, fmt.Sprintf("%d/stat", id))
	}
	s.look()
	require.Equal(t, []string{"the targets 60.02", "syft 20.00", "mero-kms 4.50", "mage 4.30", "other go commands 0.03"},
		printed(s.byName()))
}

func printed(parts []part) (out []string) {
	for _, p := range parts {
		out = append(out, fmt.Sprintf("%s %.2f", p.name, p.cpu))
	}
	return out
}

// A number that another process had before is not that process.
func TestANumberIsUsedAgain(t *testing.T) {
	t.Parallel()
	proc := fstest.MapFS{}
	s := newSampler(proc, 1)
	shown(proc, 1, 0, 0, 0, "go tool mage x")
	shown(proc, 7, 1, 100, 0, "go build -o a .")
	s.look()
	shown(proc, 7, 1, 50, 0, "go build -o b .")
	stat := proc["7/stat"].Data
	proc["7/stat"].Data = []byte(strings.Replace(string(stat), "1007", "2000", 1))
	s.look()
	require.Equal(t, []string{"a 1.00", "b 0.50"}, printed(s.byName()))
}

func TestASystemWithoutProcesses(t *testing.T) {
	t.Parallel()
	s := newSampler(fstest.MapFS{}, 1)
	s.look()
	require.Empty(t, s.byName())
}

func TestStatsThatAreNone(t *testing.T) {
	t.Parallel()
	whole := "7 (x) S 1 1 1 0 -1 1 9 0 0 0 1 2 3 4 20 0 1 0 55 0 0\n"
	p, err := parseStat([]byte(whole))
	require.NoError(t, err)
	require.Equal(t, process{id: 7, parent: 1, started: 55, cpu: 0.1}, p)
	for name, stat := range map[string]string{"nothing": "", "no name": "7 x S 1", "no number": "x (x) S 1",
		"number zero": strings.Replace(whole, "7", "0", 1), "parentheses turned": "7 )x( S 1",
		"too short": "7 (x) S 1 1 1 0 -1 1 9 0 0 0 1 2 3 4", "no parent": strings.Replace(whole, "S 1", "S x", 1),
		"a time below zero": strings.Replace(whole, "2 3 4", "-2 3 4", 1),
		"no start":          strings.Replace(whole, "55", "x", 1)} {
		_, err := parseStat([]byte(stat))
		require.Error(t, err, name)
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("7 (a) b) S 1 1 1 0 -1 1 9 0 0 0 1 2 3 4 20 0 1 0 55 0 0\n"))
	f.Add([]byte(")("))
	f.Fuzz(func(t *testing.T, stat []byte) {
		p, err := parseStat(stat)
		if err == nil {
			require.Positive(t, p.id)
			require.GreaterOrEqual(t, p.cpu, 0.0)
		}
	})
}
