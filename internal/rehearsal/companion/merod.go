package companion

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// flags are what a command of merod's takes: its flags, by name, and whether each has a value.
type flags map[string]bool

// The flags of merod 0.11.0-rc.25, of which none is global: each stands behind its command.
var (
	rootFlags = flags{"--home": true, "--node": true}
	initFlags = flags{"--boot-nodes": true, "--boot-network": true, "--swarm-host": true, "--swarm-port": true,
		"--server-host": true, "--server-port": true, "--auth-mode": true, "--auth-storage": true,
		"--auth-storage-path": true, "--no-admin": false, "--mdns": false, "--no-mdns": false,
		"--advertise-address": false, "--external-address": true, "--rendezvous-registrations-limit": true,
		"--relay-registrations-limit": true, "--autonat-probe-interval": true, "--autonat-max-candidates": true,
		"--force": false, "--mode": true}
	runFlags = flags{"--auth-mode": true, "--exit-on-eof": true, "--mock-tee": false}
)

// repeated are flags that may be there more than once.
var repeated = []string{"--boot-nodes", "--external-address"}

// read takes flags from the front of a command line, as clap does, and returns the rest.
func (f flags) read(args []string) (given map[string]string, rest []string, err error) {
	given = map[string]string{}
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		name, value, joined := strings.Cut(args[0], "=")
		args = args[1:]
		if name == "-n" && f["--node"] {
			name = "--node"
		}
		valued, known := f[name]
		_, again := given[name]
		switch {
		case !known || joined && !valued:
			return nil, nil, refuse("unexpected argument '%s' found", name)
		case again && !slices.Contains(repeated, name):
			return nil, nil, refuse("the argument '%s' cannot be used multiple times", name)
		case valued && !joined && (len(args) == 0 || strings.HasPrefix(args[0], "-")):
			return nil, nil, refuse("a value is required for '%s' but none was supplied", name)
		case valued && !joined:
			value, args = args[0], args[1:]
		}
		given[name] = value
	}
	return given, args, nil
}

// merod is one command, on one home.
type merod struct {
	Process
	folder string // home/node
}

func runMerod(ctx context.Context, p Process) error {
	given, rest, err := rootFlags.read(p.Args[1:])
	if err != nil {
		return err
	}
	home, named := given["--home"]
	if !named {
		home = p.Getenv("CALIMERO_HOME")
	}
	switch {
	case len(rest) == 0:
		return refuse("'merod' requires a subcommand but one was not provided")
	case given["--node"] == "":
		return refuse("the following required arguments were not provided: --node <NAME>")
	case home == "":
		return refuse("--home: this stand-in has no home of its own")
	}
	m := merod{p, filepath.Join(home, given["--node"])}
	switch command, args := rest[0], rest[1:]; command {
	case "init":
		return m.init(args)
	case "config":
		return m.config(args)
	case "run", "up":
		return m.run(ctx, args)
	default:
		return refuse("unrecognized subcommand '%s'", command)
	}
}

// alone is read for a command that takes flags and nothing else.
func (f flags) alone(args []string) (map[string]string, error) {
	given, rest, err := f.read(args)
	if err == nil && len(rest) > 0 {
		err = refuse("unexpected argument '%s' found", rest[0])
	}
	return given, err
}

// init makes a home, once: on one that is there it changes nothing and says so.
func (m merod) init(args []string) error {
	given, err := initFlags.alone(args)
	if err != nil {
		return err
	}
	made, err := newSettings(given)
	if err != nil {
		return err
	}
	_, force := given["--force"]
	if m.initialised() && !force {
		if _, err := m.load(); err != nil {
			return fmt.Errorf("Failed to load existing configuration: %w", err) //nolint:staticcheck // merod's own words
		}
		m.say("WARN Node is already initialized in %q", m.folder)
		return nil
	}
	if mode := given["--auth-mode"]; mode == "embedded" {
		return fmt.Errorf("--auth-mode embedded requires admin credentials, which this stand-in does not keep")
	}
	return m.create(made)
}

func (m merod) say(format string, args ...any) {
	_, _ = fmt.Fprintf(m.Stderr, format+"\n", args...)
}

// newSettings are those of a new home; values that clap refuses are refused.
func newSettings(given map[string]string) (*settings, error) {
	for name, choices := range map[string][]string{"--auth-mode": {"proxy", "embedded"},
		"--boot-network": {"calimero-dev", "ipfs"}, "--auth-storage": {"persistent", "memory"}} {
		if value, there := given[name]; there && !slices.Contains(choices, value) {
			return nil, refuse("invalid value '%s' for '%s': %s", value, name, strings.Join(choices, ", "))
		}
	}
	out := &settings{}
	out.Datastore.Path = "data"
	for _, of := range []struct {
		name, hosts, port string
		listen            *[]string
	}{{"swarm", "0.0.0.0,::", "2428", &out.Swarm.Listen}, {"server", "127.0.0.1,::1", "2528", &out.Server.Listen}} {
		var err error
		if *of.listen, err = addresses(value(given, "--"+of.name+"-host", of.hosts),
			value(given, "--"+of.name+"-port", of.port)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func value(given map[string]string, name, otherwise string) string {
	if v, there := given[name]; there {
		return v
	}
	return otherwise
}

// addresses are multiaddrs, one for each of the hosts.
func addresses(hosts, port string) (out []string, err error) {
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return nil, refuse("invalid value '%s' for a port", port)
	}
	for host := range strings.SplitSeq(hosts, ",") {
		ip, err := netip.ParseAddr(host)
		if err != nil {
			return nil, refuse("invalid value '%s' for a host: invalid IP address syntax", host)
		}
		kind := "ip4"
		if ip.Is6() {
			kind = "ip6"
		}
		out = append(out, "/"+kind+"/"+host+"/tcp/"+port)
	}
	return out, nil
}

// dialled is the "host:port" of a multiaddr.
func dialled(multiaddr string) (string, error) {
	parts := strings.Split(multiaddr, "/")
	if len(parts) != 5 || parts[0] != "" || parts[1] != "ip4" && parts[1] != "ip6" || parts[3] != "tcp" {
		return "", fmt.Errorf("server.listen: %q is not understood here", multiaddr)
	}
	return net.JoinHostPort(parts[2], parts[4]), nil
}
