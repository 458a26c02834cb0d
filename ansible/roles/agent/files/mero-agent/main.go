// Command mero-agent is the node agent of every profile: it measures the
// profile into RTMR3, proves the TD by a quote, verifies the key service and
// asks it for the node's key, and reports what it found.
//
// Its promise: it extends RTMR3 once, it talks to no key service that it did
// not verify against the configuration file, and no key leaves it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	_ "golang.org/x/crypto/x509roots/fallback" // an image may hold no certificates

	"github.com/calimero-network/mero-tee/internal/fault"
	"github.com/calimero-network/mero-tee/internal/guestattr"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/tdx"
	"github.com/calimero-network/mero-tee/internal/tsm"
)

// eventLog is where Linux shows the data behind ACPI's CCEL table.
const eventLog = "/sys/firmware/acpi/tables/data/CCEL"

const deadline = 10 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, deadline)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	cancel()
	stop()
	os.Exit(code)
}

// run returns one of the exit codes of package fault.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	m, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return int(fault.Success)
	}
	if err == nil {
		m.tsm, err = tsm.Open()
	}
	if err == nil {
		err = m.accomplish(ctx, stdout)
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "[ERROR] %v\n", err)
	}
	return int(fault.CodeOf(err))
}

// parse reads the flags, which the image measures with its boot configuration.
func parse(args []string, stderr io.Writer) (*mission, error) {
	m := &mission{http: &http.Client{Timeout: time.Minute}, now: time.Now}
	flags := flag.NewFlagSet("mero-agent", flag.ContinueOnError)
	flags.SetOutput(stderr)
	profile := flags.String("profile", "", "profile of the image: debug, debug-read-only or locked-read-only")
	flags.StringVar(&m.nonce, "nonce", "", "32 bytes in hex that the quote must hold; random when empty")
	flags.StringVar(&m.configFile, "config", "", "client configuration of merod (TOML or JSON); without it no key service is asked")
	flags.StringVar(&m.eventLog, "event-log", eventLog, "the firmware's event log")
	flags.BoolVar(&m.extended, "extended", false, "the profile was measured in an earlier run since boot")
	metadata := flags.Bool("metadata", false, "take nonce and configuration from instance metadata, and report through guest attributes")
	server := flags.String("metadata-server", guestattr.Server, "address of the metadata server")
	root := flags.String("tdx-root-sha256", tdx.IntelRootSHA256, "digest of the one TDX root that is believed")
	if err := flags.Parse(args); err != nil {
		return nil, usage(err)
	}
	if flags.NArg() > 0 {
		return nil, usage(fmt.Errorf("unexpected argument %q", flags.Arg(0)))
	}
	var err error
	if m.profile, err = release.ParseProfile(*profile); err != nil {
		return nil, err
	}
	if m.root, err = tdx.ParseRoot(*root); err != nil {
		return nil, usage(err)
	}
	if *metadata {
		m.metadata = &guestattr.Metadata{Base: *server, HTTP: &http.Client{Transport: &http.Transport{Proxy: nil}}}
	}
	return m, nil
}

func usage(err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	return &fault.Error{Code: fault.Usage, Message: "mero-agent", Err: err}
}
