// Command mage is `go tool mage`: Mage's own program, which compiles the targets
// in magefiles/ and runs one.
//
// Its promise: it does what Mage does, and three things more. The targets are
// compiled with the flags of everything else that a release compiles, so that
// what they share is compiled once, and only when a file of the clone has moved;
// who waits for that is told; and the list of the targets is in groups, and of one
// it says what it takes, needs and leaves.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/magefile/mage/mage"
	"golang.org/x/sys/unix"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/cli/help"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(arguments []string) int {
	inv, command, err := mage.Parse(os.Stderr, os.Stdout, arguments)
	inv.Stdin, inv.Stderr = os.Stdin, os.Stderr
	inv = asked(inv)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil || command != mage.None || inv.CompileOut != "" || inv.Autocomplete:
		return mages(arguments)
	case inv.List || inv.Help || len(inv.Args) == 0:
		manual, err := help.Read(inv.GoCmd, inv.Dir)
		if err != nil { // Mage has its own words for that
			return mages(arguments)
		}
		return explain(inv, manual, columns(os.Stdout))
	}
	program, code, err := compiled(inv)
	if err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		return 1
	}
	if code != 0 {
		return code
	}
	return mage.RunCompiled(inv, program, log.New(os.Stderr, "", 0))
}

// asked takes "TARGET -h", as other programs are asked, for Mage's "-h TARGET".
func asked(inv mage.Invocation) mage.Invocation {
	if len(inv.Args) == 2 && slices.Contains([]string{"-h", "-help", "--help"}, inv.Args[1]) {
		inv.Help, inv.Args = true, inv.Args[:1]
	}
	return inv
}

// mages is what Mage itself does.
func mages(arguments []string) int {
	return sharing(func() int { return mage.ParseAndRun(os.Stdout, os.Stderr, os.Stdin, arguments) })
}

// explain writes what the magefiles say: of all targets, or of one.
func explain(inv mage.Invocation, manual *help.Manual, columns int) int {
	write := manual.WriteList
	if inv.Help {
		target := manual.Find(inv.Args[0])
		if target == nil {
			fmt.Fprintf(inv.Stderr, "Unknown target: %q\n       Hint:     go tool mage -l\n", inv.Args[0])
			return 2
		}
		write = target.Write
	}
	if err := write(inv.Stdout, help.Within(columns)); err != nil {
		fmt.Fprintln(inv.Stderr, "Error:", err)
		return 1
	}
	return 0
}

// columns are a terminal's; 0 for what is none.
func columns(f *os.File) int {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Col)
}

// sharing lets compile with the flags of internal/base/gobuild: two packages
// compiled with different ones share nothing, not even Go's standard library.
// The targets that run afterwards see the variables as they were.
func sharing(compile func() int) int {
	flags := "-trimpath"
	if out, err := exec.CommandContext(context.Background(), "go", "env", "GOFLAGS").Output(); err == nil {
		flags = strings.TrimSpace(strings.TrimSpace(string(out)) + " " + flags)
	}
	for name, value := range map[string]string{"GOFLAGS": flags, "CGO_ENABLED": "0"} {
		before, was := os.LookupEnv(name)
		_ = os.Setenv(name, value) // it fails for names that cannot be
		defer func() {
			if was {
				_ = os.Setenv(name, before)
			} else {
				_ = os.Unsetenv(name)
			}
		}()
	}
	return compile()
}

// patience is how long somebody waits without being told for what.
const patience = 2 * time.Second

// told does work, and writes a line when that takes a while, and then at every heartbeat.
func told(w io.Writer, work func() int) (code int) {
	console.While(func() { code = work() }, patience, func(took time.Duration) {
		if took == patience {
			fmt.Fprintln(w, "[INFO] compiling the targets: once, and after each change of them")
			return
		}
		fmt.Fprintf(w, "[INFO] still compiling the targets: %.0f s\n", took.Seconds())
	})
	return code
}
