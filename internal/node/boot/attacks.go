package boot

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/node/boot/machine"
)

// What a command of the host's says on the serial port if it ever runs in a
// node: in small letters it could be a command line that somebody printed.
const (
	hostCommand = `/bin/sh -c 'echo the-host-runs | tr a-z A-Z > /dev/ttyS0'`
	hostRuns    = "THE-HOST-RUNS"
)

// credentials are what systemd would take from a host, each of which would be a
// way in (systemd 259: systemd.system-credentials(7)).
func credentials() map[string]string {
	unit := "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nExecStart=" + hostCommand + "\n"
	return map[string]string{
		"systemd.extra-unit.h.service":          unit,
		"systemd.unit-dropin.sysinit.target":    "[Unit]\nWants=h.service\n",
		"systemd.unit-dropin.multi-user.target": "[Unit]\nWants=h.service\n",
		"passwd.plaintext-password.root":        "host",
		"passwd.shell.root":                     "/bin/sh",
		"ssh.authorized_keys.root":              "ssh-ed25519 " + strings.Repeat("A", 68) + " host",
		"tmpfiles.extra":                        "w /dev/ttyS0 - - - - " + hostRuns + "\n",
		"sysctl.extra":                          "kernel.sysrq=1\n",
		"fstab.extra":                           "tmpfs /etc/systemd/system tmpfs defaults 0 0\n",
		"getty.ttys.serial":                     "ttyS0",
		"network.dns":                           "203.0.113.1",
		"systemd.set-hostname":                  "host",
		"userdb.user.host":                      `{"userName":"host","uid":0}`,
		"system.hostname":                       "host",
		"vconsole.keymap":                       "de",
		"firstboot.locale":                      "C",
	}
}

// words are everything that a host can say to a node without a change to the disk:
// variables, tables, files of the emulator. systemd 255 took the variable for a
// command line, 259 does not look at it any more.
func words() machine.Config {
	c := machine.Config{Variables: []machine.Variable{machine.SystemdOptions(`systemd.run="` + hostCommand +
		`" systemd.debug_shell=ttyS0 systemd.unit=rescue.target systemd.default_debug_tty=ttyS0`)}}
	for name, value := range credentials() {
		c.SMBIOS = append(c.SMBIOS,
			"io.systemd.credential.binary:"+name+"="+base64.StdEncoding.EncodeToString([]byte(value)))
		if file := "opt/io.systemd.credentials/" + name; len(file) <= machine.MaxFileName {
			c.Files = append(c.Files, machine.File{Name: file, Content: value})
		}
	}
	slices.Sort(c.SMBIOS)
	return c
}

// control boots the disk with the same words, but without what keeps them out:
// they must have an effect there, or that they have none elsewhere says nothing.
func (s *session) control(ctx context.Context) error {
	c := words()
	var err error
	if c.Disk, err = s.disk.open(); err != nil {
		return err
	}
	g, closed, err := s.start(ctx, control, c, nil)
	if err != nil {
		return err
	}
	defer closed()
	measured, err := s.kernel(ctx, g, 0)
	if err != nil {
		return err
	}
	store, err := g.machine.Store()
	if err != nil {
		return err
	}
	hosts, own := machine.Has(store, "SystemdOptions"), machine.Has(store, "BootOrder")
	s.report.add(must("control: a disk whose command line lets the host in measures another digest",
		moved(s.disk.boot, measured) != nil, "another digest", fmt.Sprint(moved(s.disk.boot, measured))),
		must("control: the firmware keeps the host's variable beside its own", hosts && own, "both are in its store",
			fmt.Sprintf("%t and %t", hosts, own)))
	err = g.await(ctx, patience, func() (bool, error) {
		said, err := g.serial()
		return strings.Contains(said, hostRuns) || g.network.Leases() > 0 || g.machine.Restarts() > 0, err
	})
	if err == nil && g.network.Leases() > 0 {
		err = s.settle(ctx, g)
	}
	if err != nil {
		return err
	}
	said, err := g.serial()
	if err != nil {
		return err
	}
	s.say(g, "the host's words had their time")
	s.report.add(must("control: the host's credentials have an effect where the disk lets the host in",
		strings.Contains(said, hostRuns), "the serial port says "+hostRuns, fmt.Sprintf("%q", tailOf(said))))
	return nil
}

// judgeWords says whether any of the host's words had an effect, on registers or behaviour.
func (s *session) judgeWords(g *guest, measured []machine.Measurement, tables, files int) error {
	said, err := g.serial()
	if err != nil {
		return err
	}
	var effects []string
	if err := moved(s.disk.boot, measured); err != nil {
		effects = append(effects, err.Error())
	}
	if strings.Contains(said, hostRuns) {
		effects = append(effects, "a command of the host's ran")
	}
	if strings.Contains(said, "sh-5") || strings.Contains(said, "root@") {
		effects = append(effects, "a shell on the serial port")
	}
	if g.network.Leases() == 0 || g.machine.Restarts() > 0 {
		effects = append(effects, "the node does not run as it should")
	}
	got := "none: the same digests, the node runs"
	if len(effects) > 0 {
		got = strings.Join(effects, "; ")
	}
	s.attack("the EFI variable SystemdOptions with systemd.run= and a debug shell, together with "+
		fmt.Sprintf("%d systemd credentials by SMBIOS and %d by fw_cfg", tables, files),
		len(effects) == 0, "no effect on PCR 2 to 6 and 8 to 15, none on the node", got)
	return nil
}

// extraCommandLine gives systemd's stub more command line by SMBIOS. Outside of
// a confidential VM the stub takes it and measures it: then registers must move.
// When that is judged, the machine's boot goes on three times, each time with
// another byte of the root or of its hash tree.
func (s *session) extraCommandLine(ctx context.Context) error {
	c := machine.Config{SMBIOS: []string{"io.systemd.stub.kernel-cmdline-extra=systemd.host=1"}, Movable: true}
	g, closed, err := s.start(ctx, commandLine, c, nil)
	if err != nil {
		return err
	}
	defer closed()
	measured, err := s.kernel(ctx, g, 0)
	if err != nil {
		return err
	}
	const name = "attack: a kernel command line by SMBIOS (io.systemd.stub.kernel-cmdline-extra)"
	if err := moved(s.disk.boot, measured); err != nil {
		s.report.add(check.Pass(name).Noting("taken, and measured: RTMR2 moves, so that no key is given: " + err.Error()))
	} else {
		s.report.add(check.Pass(name).Noting("not taken: the same digests, that of the kernel's command line among them"))
	}
	trunk, err := s.saveBeforeRoot(ctx, g)
	if err != nil {
		return err
	}
	c.Saved = trunk.file
	defer os.Remove(c.Saved)
	closed()
	for _, b := range s.branches() {
		if err := s.judged(b.name, s.flipped(ctx, c, trunk, b)); err != nil {
			return err
		}
	}
	return nil
}

// flippedUKI boots a disk of which a byte of the UKI, behind its command line, is another.
func (s *session) flippedUKI(ctx context.Context) error {
	at, err := s.disk.lineAt()
	if err != nil {
		return err
	}
	disk := machine.NewDisk(s.disk.file, s.disk.size, at+1<<20)
	g, closed, err := s.start(ctx, otherUKI, machine.Config{Disk: disk}, nil)
	if err != nil {
		return err
	}
	defer closed()
	one := groups(s.disk.boot)[0]
	var difference error
	err = g.await(ctx, patience, func() (bool, error) {
		measured, err := g.measurements(0)
		if err != nil {
			return false, err
		}
		got := one.of(measured)
		difference = nil
		for i, m := range got[:min(len(got), len(one.events))] {
			if m.Digest != one.events[i].Digest {
				difference = fmt.Errorf("PCR %d has another digest in the place of: %s", m.PCR, one.events[i].Words)
				return true, nil
			}
		}
		return len(got) == len(one.events) || g.machine.Restarts() > 0, nil
	})
	if err != nil {
		return err
	}
	got := "the same digests, and the machine runs"
	switch {
	case difference != nil:
		got = difference.Error()
	case g.machine.Restarts() > 0:
		got = "the boot stops"
	}
	s.say(g, got)
	s.attack("one byte of the UKI is another", difference != nil || g.machine.Restarts() > 0,
		"another digest, or no boot", got)
	return nil
}
