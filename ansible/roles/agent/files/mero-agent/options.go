package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/node/mission"
	"github.com/calimero-network/mero-tee/internal/release"
)

// eventLog is where Linux shows the data behind ACPI's CCEL table.
const eventLog = "/sys/firmware/acpi/tables/data/CCEL"

var errHelp = flag.ErrHelp

// options are one run of the agent.
type options struct {
	node         mission.Node
	measure      bool // extend RTMR3, then end
	metadata     bool // else flags and standard output
	metadataHost string
	nonce        string // hex
	config       string // path
	merod        merod  // that is told its key service, and nothing else is done; none: ""
}

// parse reads the flags, which the image measures with its boot configuration.
func parse(args []string, stderr io.Writer) (*options, error) {
	o := &options{}
	flags := flag.NewFlagSet("mero-agent", flag.ContinueOnError)
	flags.SetOutput(stderr)
	profile := flags.String("profile", "", "profile of the image: debug, debug-read-only or locked-read-only")
	flags.StringVar(&o.nonce, "nonce", "", "32 bytes in hex that the quote must hold; random when empty")
	flags.StringVar(&o.config, "config", "",
		"client configuration of merod (TOML or JSON); without it no key service is asked")
	log := flags.String("event-log", eventLog, "the firmware's event log")
	flags.BoolVar(&o.measure, "measure", false, "measure the profile, then end; -extended goes on later")
	flags.BoolVar(&o.node.Extended, "extended", false, "the profile was measured in an earlier run since boot")
	flags.BoolVar(&o.metadata, "metadata", false,
		"take the mission from instance metadata, and report through guest attributes")
	flags.StringVar(&o.merod.program, "configure", "",
		"this merod, of -merod-home and -merod-node, is given the client configuration of instance metadata; then end")
	flags.StringVar(&o.merod.home, "merod-home", "", "merod's --home")
	flags.StringVar(&o.merod.node, "merod-node", "", "merod's --node")
	root := flags.String("tdx-root-sha256", tdx.IntelRootSHA256, "digest of the one TDX root that is believed")
	if err := flags.Parse(args); err != nil {
		return nil, usage(err)
	}
	if flags.NArg() > 0 {
		return nil, usage(fmt.Errorf("unexpected argument %q", flags.Arg(0)))
	}
	if o.measure && (o.node.Extended || o.metadata) {
		return nil, usage(errors.New("-measure goes with -profile only"))
	}
	if o.merod != (merod{}) {
		return o, usage(o.merod.check(flags.NFlag()))
	}
	o.node.EventLog = func() ([]byte, error) { return readFile(*log, agent.MaxEventLog) }
	o.node.HTTP, o.node.Now = &http.Client{Timeout: time.Minute}, time.Now
	return o, o.complete(*profile, *root)
}

func (o *options) complete(profile, root string) (err error) {
	if o.node.Profile, err = release.ParseProfile(profile); err != nil {
		return err
	}
	o.node.Root, err = tdx.ParseRoot(root)
	return usage(err)
}

func usage(err error) error {
	if err == nil || errors.Is(err, errHelp) {
		return err
	}
	return &fault.Error{Code: fault.Usage, Message: "mero-agent", Err: err}
}

func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = &fault.Error{Code: fault.Usage, Message: path + " is too large"}
	}
	return data, err
}
