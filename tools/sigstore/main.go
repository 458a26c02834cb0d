// Command sigstore runs a whole Sigstore on loopback: the real Fulcio CA, a
// certificate transparency signer, an RFC 3161 timestamp authority, an OIDC
// issuer shaped like GitHub Actions', the real Rekor v2 server as a child, and a
// log that speaks Rekor v1.
//
// Its promise: it trusts nothing and is trusted by nothing but its own root. All
// keys stay under -dir, so the root is the same in every run; every name it
// certifies itself under says "rehearsal"; and it ends when its standard input
// does, so it never outlives the program that started it.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// githubIssuer is the issuer in every certificate that GitHub Actions signs with.
const githubIssuer = "https://token.actions.githubusercontent.com"

type options struct {
	dir, rekor, issuer string
}

func main() {
	// The kernel sends Pdeathsig when the thread that forked the child ends, so the thread must be one that stays.
	runtime.LockOSThread()
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sigstore:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("sigstore", flag.ContinueOnError)
	flags.StringVar(&o.dir, "dir", "", "state: keys, certificates, logs (required)")
	flags.StringVar(&o.rekor, "rekor", "", "the program github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix (required)")
	flags.StringVar(&o.issuer, "issuer", githubIssuer, "issuer of identity tokens, answered in this process")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.dir == "" || o.rekor == "" || flags.NArg() > 0 {
		return o, fmt.Errorf("usage: sigstore -dir DIRECTORY -rekor PROGRAM [-issuer URL]")
	}
	return o, nil
}

// run prints one line of JSON when everything answers, and serves until stdin ends or a signal comes.
func run(args []string, stdin io.Reader, stdout io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		stop()
	}()
	i, err := start(ctx, o)
	if err != nil {
		return err
	}
	defer i.close()
	if err := json.NewEncoder(stdout).Encode(i.ready); err != nil {
		return err
	}
	return i.wait(ctx)
}
