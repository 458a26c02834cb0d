// Command mero-agent is the node agent of every profile: it measures the
// profile into RTMR3, proves the TD by a quote, verifies key services and asks
// them for the node's key, and reports what it found. It also tells merod which
// key service to believe.
//
// Its promise: it extends RTMR3 once, it talks to no key service that it did
// not verify against its configuration, merod is given no configuration that the
// agent itself would refuse, and no key leaves it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/google/go-configfs-tsm/configfs/configfsi"
	_ "golang.org/x/crypto/x509roots/fallback" // an image may hold no certificates

	"github.com/calimero-network/mero-tee/internal/attestation/tsm"
	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/provider/gce/guestattr"
)

const (
	deadline       = 10 * time.Minute
	reportPatience = 2 * time.Minute // for the report, when the deadline has passed too
)

// socketVariable names the unix socket of a simulated TD; hardware has none.
const socketVariable = "MERO_TSM_SOCKET"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, deadline)
	code := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	cancel()
	stop()
	os.Exit(code)
}

// run returns one of the exit codes of package fault.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	err := work(ctx, args, getenv, stdout, stderr)
	if errors.Is(err, errHelp) {
		return int(fault.Success)
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "[ERROR] %v\n", err)
	}
	return int(fault.CodeOf(err))
}

func work(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	o.metadataHost = getenv(guestattr.HostVariable)
	if o.merod.program != "" {
		return o.configure(ctx, stderr)
	}
	o.node.Local.HTTP = ownPorts(getenv(agent.NodeHostVariable))
	open := tsm.Open
	if o.measure { // early in the boot: the kernel's module may still be loading
		open = func(socket string) (configfsi.Client, error) { return tsm.Await(ctx, socket) }
	}
	if o.node.TSM, err = open(getenv(socketVariable)); err != nil {
		return err
	}
	if o.measure {
		return (&agent.Agent{TSM: o.node.TSM, Profile: o.node.Profile}).ExtendProfile()
	}
	return o.run(ctx, stdout)
}

// run accomplishes the mission and reports, also when something failed.
func (o *options) run(ctx context.Context, stdout io.Writer) error {
	m, err := o.mission(ctx)
	r := &agent.Report{Profile: o.node.Profile}
	if err == nil {
		r, err = o.node.Accomplish(ctx, m)
	} else {
		r.Fail(err)
	}
	return errors.Join(err, o.send(ctx, r, stdout))
}

// mission reads what the operator wants, from where the flags say.
func (o *options) mission(ctx context.Context) (m agent.Mission, err error) {
	if o.metadata { // boot may be faster than the metadata server, which is waited for
		return agent.ReadMission(ctx, o.server().Attribute)
	}
	if m, err = agent.ParseMission(map[string]string{agent.NonceAttribute: o.nonce}); err == nil && o.config != "" {
		m.Config, err = readFile(o.config, canonical.MaxSize)
	}
	return m, err
}

// ownPorts reaches this node's own ports, or those of the address which stands for it.
func ownPorts(host string) http.RoundTripper {
	t := &http.Transport{DisableKeepAlives: true} // no proxy: it is this machine
	if host != "" {
		t.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, host)
		}
	}
	return t
}

func (o *options) server() *guestattr.Metadata {
	return &guestattr.Metadata{Host: o.metadataHost, HTTP: &http.Client{Transport: &http.Transport{Proxy: nil}}}
}

// send writes the report where the operator reads it.
func (o *options) send(ctx context.Context, r *agent.Report, stdout io.Writer) error {
	data, err := r.Encode()
	if err != nil {
		return err
	}
	if !o.metadata {
		_, err = stdout.Write(data)
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reportPatience)
	defer cancel()
	return o.server().Publish(ctx, guestattr.Namespace, guestattr.ReportName, data)
}
