package boot

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/retry"
	"github.com/calimero-network/mero-tee/internal/node/boot/machine"
	"github.com/calimero-network/mero-tee/internal/release"
)

// released boots the disk as it is, with all that a host can say to a node without
// a change to the disk; looks at it, presses keys, and boots it again.
func (s *session) released(ctx context.Context) error {
	visitor, err := newVisitor(s.Profile)
	if err != nil {
		return err
	}
	attributes, err := visitor.attributes()
	if err != nil {
		return err
	}
	c := words()
	g, closed, err := s.start(ctx, released, c, attributes)
	if err != nil {
		return err
	}
	defer closed()
	measured, err := s.kernel(ctx, g, 0)
	if err != nil {
		return err
	}
	s.report.Events = explain(s.disk.boot, measured)
	s.report.add(predicted("measured", s.disk.boot, measured)...)
	before := len(g.disk.Read(s.disk.parts[1].Start, s.disk.parts[1].End))
	if err := s.started(ctx, g); err != nil {
		return err
	}
	s.report.add(s.running(g, before)...)
	if err := s.outside(ctx, g, measured); err != nil {
		return err
	}
	if err := s.judgeWords(g, measured, len(c.SMBIOS), len(c.Files)); err != nil {
		return err
	}
	if err := s.inside(ctx, g, visitor); err != nil {
		return err
	}
	if err := s.keys(ctx, g, measured); err != nil {
		return err
	}
	return s.again(ctx, g, measured)
}

// running judges what can be seen of a running node from outside of it; firmware
// had read so many pages of the root.
func (s *session) running(g *guest, before int) check.Results {
	root, tree := s.disk.parts[1], s.disk.parts[2]
	written := g.disk.Written()
	ofRoot, ofTree := len(g.disk.Read(root.Start, root.End)), len(g.disk.Read(tree.Start+4096, tree.End))
	return check.Results{
		must("root: read from its partition, with its hash tree", ofRoot > before && ofTree > 1,
			"both are read", fmt.Sprintf("%d and %d pages of 4096 bytes", ofRoot, ofTree)),
		must("root: nothing was written to the disk", len(written) == 0, "no page", fmt.Sprintf("%d pages", len(written))),
		must("network: an address by DHCP", g.network.Leases() > 0, "a lease", fmt.Sprintf("%d", g.network.Leases())),
		must("running: the machine did not restart", g.machine.Restarts() == 0, "never",
			fmt.Sprintf("%d times", g.machine.Restarts())),
	}
}

// open are the TCP ports that a profile may have open without TDX: merod and
// traefik do not run without a measurement.
func openPorts(p release.Profile) []uint16 {
	if p == release.LockedReadOnly {
		return nil
	}
	return []uint16{22}
}

// outside asks every port, and looks at the serial port and at what was asked for.
func (s *session) outside(ctx context.Context, g *guest, measured []machine.Measurement) error {
	now, err := g.measurements(0)
	if err != nil {
		return err
	}
	s.report.add(unexpected(now[min(len(measured), len(now)):]))
	ports, err := g.network.Scan(ctx)
	if err != nil {
		return err
	}
	s.say(g, "every port was asked")
	s.report.Ports = ports
	s.report.add(must("ports: each TCP port answers, and none is open but "+list(openPorts(s.Profile)),
		ports.Silent == 0 && slices.Equal(ports.Open, openPorts(s.Profile)), list(openPorts(s.Profile)),
		fmt.Sprintf("open: %s; closed: %d; silent: %d", list(ports.Open), ports.Closed, ports.Silent)))
	said, err := g.serial()
	if err != nil {
		return err
	}
	if s.Profile == release.Debug {
		s.report.add(must("console: debug asks for a login on the serial port", strings.Contains(said, "login:"), "login:",
			fmt.Sprintf("%d bytes, the last: %q", len(said), tailOf(said))))
	} else {
		s.report.add(must("console: the serial port is silent once the kernel runs", said == "", "nothing",
			fmt.Sprintf("%d bytes: %q", len(said), tailOf(said))))
	}
	reported := g.metadata.Reported()
	s.report.add(must("measurement: without TDX nobody reports one", len(reported) == 0, "no guest attribute",
		fmt.Sprintf("%d guest attributes", len(reported))))
	return nil
}

// imaPCR takes the kernel's own aggregate of a TPM's PCRs when IMA starts; a TD has
// no register for it.
const imaPCR = 10

// unexpected judges what is measured once the kernel runs, which nobody predicts.
func unexpected(later []machine.Measurement) check.Result {
	var others []string
	for _, m := range later {
		if m.PCR != imaPCR {
			others = append(others, fmt.Sprintf("PCR %d: %s", m.PCR, m.Digest))
		}
	}
	return must("measured: nothing after the kernel's start but IMA's aggregate, PCR 10", len(others) == 0, "nothing",
		cmp.Or(strings.Join(others, "; "), fmt.Sprintf("%d of PCR 10", len(later))))
}

func list(ports []uint16) string {
	if len(ports) == 0 {
		return "none"
	}
	return strings.Trim(fmt.Sprint(ports), "[]")
}

func tailOf(said string) string { return said[max(0, len(said)-200):] }

// console are keys and their names that somebody at the machine's keyboard presses.
func consoleKeys() [][]string {
	return [][]string{{"ctrl", "alt", "delete"}, {"ctrl", "alt", "delete"}, {"alt", "sysrq", "b"}, {"alt", "sysrq", "c"},
		{"alt", "sysrq", "r"}, {"ctrl", "alt", "f2"}, {"alt", "f2"}, {"alt", "f9"}, {"esc"}, {"ret"}, {"ctrl", "c"},
		{"ctrl", "alt", "delete"}, {"ctrl", "alt", "delete"}, {"ctrl", "alt", "delete"}, {"ctrl", "alt", "delete"},
		{"ctrl", "alt", "delete"}, {"ctrl", "alt", "delete"}, {"ctrl", "alt", "delete"}}
}

// keys presses what a console understands, and sees whether anything comes of it.
func (s *session) keys(ctx context.Context, g *guest, measured []machine.Measurement) error {
	const name = "attack: keys of the console (Ctrl-Alt-Delete, magic SysRq, other consoles)"
	if s.Profile == release.Debug {
		s.report.add(check.NotApplicable(name, "debug has a console on purpose"))
		return nil
	}
	before, err := g.screens(ctx)
	if err != nil {
		return err
	}
	if err := g.press(ctx); err != nil {
		return err
	}
	after, err := g.screens(ctx)
	if err != nil {
		return err
	}
	now, err := g.measurements(0)
	if err != nil {
		return err
	}
	fresh := slices.DeleteFunc(after, func(d string) bool { return slices.Contains(before, d) })
	var effects []string
	for effect, seen := range map[string]bool{
		"the machine restarted":      g.machine.Restarts() > 0,
		"the screen changed":         len(fresh) > 0,
		"something else is measured": len(now) < len(measured) || !slices.Equal(now[:len(measured)], measured),
	} {
		if seen {
			effects = append(effects, effect)
		}
	}
	slices.Sort(effects)
	got := "the node runs on"
	if len(effects) > 0 {
		got = strings.Join(effects, ", ")
	}
	s.attack(name, len(effects) == 0, "no effect", got)
	s.say(g, "the keys were pressed")
	return nil
}

// press presses all of them, and waits for what comes of it.
func (g *guest) press(ctx context.Context) error {
	for _, keys := range consoleKeys() {
		if err := g.machine.Press(keys...); err != nil {
			return err
		}
		if err := retry.For(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
	return retry.For(ctx, 5*time.Second)
}

// screens are the digests of what the screen shows within two seconds: a cursor blinks.
func (g *guest) screens(ctx context.Context) (out []string, err error) {
	for range 8 {
		d, err := g.machine.Screen()
		if err != nil {
			return nil, err
		}
		out = append(out, d.String())
		if err := retry.For(ctx, 250*time.Millisecond); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// again presses the machine's button: the same disk must measure the same.
func (s *session) again(ctx context.Context, g *guest, first []machine.Measurement) error {
	if err := g.machine.Reset(); err != nil {
		return err
	}
	boots, err := g.machine.Measured()
	if err != nil {
		return err
	}
	measured, err := s.kernel(ctx, g, len(boots))
	if err != nil {
		return err
	}
	err = moved(s.disk.boot, measured)
	if err == nil && !slices.Equal(platform(first), platform(measured)) {
		err = fault.Mismatch("PCR 0, 1 or 7", "as at the first boot", "other")
	}
	s.report.add(check.Of("measured: a second boot of the same disk measures the same", err))
	return nil
}

// platform is what a boot measured that is not the disk's.
func platform(measured []machine.Measurement) []machine.Measurement {
	return slices.DeleteFunc(slices.Clone(measured), func(m machine.Measurement) bool { return m.PCR > 1 && m.PCR != 7 })
}

// attack is a result that is listed among those tried, too.
func (s *session) attack(name string, ok bool, expected, got string) {
	name = "attack: " + strings.TrimPrefix(name, "attack: ")
	s.report.add(must(name, ok, expected, got))
}
