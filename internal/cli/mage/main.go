// Command mage is `go tool mage`: Mage's own program, which compiles the targets
// in magefiles/ and runs one.
//
// Its promise: it does what Mage does, and two things more. The targets are
// compiled with the flags of everything else that a release compiles, so that
// what they share is compiled once, and only when a file of the clone has moved;
// and who waits for that is told.
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
	"strings"
	"time"

	"github.com/magefile/mage/mage"

	"github.com/calimero-network/mero-tee/internal/base/console"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(arguments []string) int {
	inv, command, err := mage.Parse(os.Stderr, os.Stdout, arguments)
	inv.Stdin, inv.Stderr = os.Stdin, os.Stderr
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil || command != mage.None || inv.CompileOut != "" || inv.List || inv.Help || inv.Autocomplete:
		return sharing(func() int { return mage.ParseAndRun(os.Stdout, os.Stderr, os.Stdin, arguments) })
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
