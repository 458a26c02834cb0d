// Package machine is one emulated machine as a node's disk finds it: QEMU, UEFI
// firmware, a TPM that has a SHA-384 bank alone, a disk and a network.
//
// Its promise: the disk is not written to, and the guest needs to show nothing:
// what was measured is read from the TPM's record, what was read and written
// from the disk's server, what was asked for from the network. A machine and all
// that was started for it end with the program that made it.
package machine

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// Config is what a machine is made of.
type Config struct {
	Programs  Programs
	KVM       bool   // else the processor is emulated too
	Folder    string // of the machine alone; it must exist, and its path be short
	Disk      *Disk  // nil: none
	Wire      Wire   // nil: no network
	MAC       string // of the network device
	Variables []Variable
	SMBIOS    []string // OEM strings, table 11
	Files     []File   // what the host offers by fw_cfg
	Movable   bool     // it can be saved; its disk is a SCSI one, since QEMU does not save an NVMe one
	Saved     string   // the file of a saved machine of the same kind, from which this one goes on
}

// Wire is what a machine's network device is connected to.
type Wire interface {
	Serve(wire io.ReadWriter) error
}

// File is one of QEMU's fw_cfg.
type File struct{ Name, Content string }

// MaxFileName bounds a file's name, in bytes.
const MaxFileName = 55

// Machine is one that runs.
type Machine struct {
	config  Config
	monitor *monitor
	qemu    *running
	tpm     *running
	begun   time.Time
	links   []net.Conn
}

// memory of a machine, in MiB: what the root, an overlay and merod's stand-in need.
const memory = 2048

// Start starts a machine; its processor runs when Start returns.
func Start(ctx context.Context, c Config) (m *Machine, err error) {
	m = &Machine{config: c, begun: time.Now()}
	defer func() {
		if err != nil {
			m.Close()
		}
	}()
	if err := m.firmware(); err != nil {
		return nil, err
	}
	if err := m.startTPM(ctx); err != nil {
		return nil, err
	}
	return m, m.startQEMU(ctx)
}

func (m *Machine) path(name string) string { return filepath.Join(m.config.Folder, name) }

// file is where the content of one of the host's files is kept.
func (m *Machine) file(i int) string { return m.path("file-" + strconv.Itoa(i)) }

// firmware writes what the machine begins with: the variable store, the host's files.
func (m *Machine) firmware() error {
	for i, f := range m.config.Files {
		if err := os.WriteFile(m.file(i), []byte(f.Content), 0o600); err != nil {
			return err
		}
	}
	store, err := os.ReadFile(m.config.Programs.Variables)
	if err != nil {
		return err
	}
	if store, err = AddVariables(store, m.config.Variables...); err != nil {
		return err
	}
	return os.WriteFile(m.path("variables"), store, 0o600)
}

// startTPM makes a TPM and starts it. It listens before swtpm says anything, so the socket is waited for.
func (m *Machine) startTPM(ctx context.Context) error {
	state := m.path("tpm")
	if err := os.Mkdir(state, 0o700); err != nil {
		return err
	}
	setup, err := start(ctx, m.config.Programs.TPMSetup, "--tpm2", "--tpmstate", state, "--pcr-banks", "sha384",
		"--overwrite")
	if err != nil {
		return err
	}
	if err := setup.wait(); err != nil {
		return &fault.Error{Code: fault.General, Message: "swtpm_setup makes no TPM", Err: err}
	}
	m.tpm, err = start(ctx, m.config.Programs.TPM, "socket", "--tpm2", "--tpmstate", "dir="+state,
		"--ctrl", "type=unixio,path="+m.path("tpm.sock"), "--terminate", "--log", "file="+m.path("tpm.log")+",level=20")
	if err != nil {
		return err
	}
	for range 200 {
		if _, err := os.Stat(m.path("tpm.sock")); err == nil {
			return nil
		}
		select {
		case <-m.tpm.ended:
			return &fault.Error{Code: fault.General, Message: "swtpm ended", Err: m.tpm.wait()}
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return &fault.Error{Code: fault.General, Message: "swtpm does not listen"}
}

// startQEMU starts it and takes its connections: monitor, disk, network.
func (m *Machine) startQEMU(ctx context.Context) error {
	links := map[string]net.Listener{}
	for _, name := range []string{"monitor", "disk", "wire", "tpm-link"} {
		l, err := (&net.ListenConfig{}).Listen(ctx, "unix", m.path(name))
		if err != nil {
			return err
		}
		defer l.Close()
		links[name] = l
	}
	go serveTPM(links["tpm-link"], m.path("tpm.sock")) // before the rest: QEMU asks the TPM while it starts
	var err error
	if m.qemu, err = start(ctx, m.config.Programs.QEMU, m.arguments()...); err != nil {
		return err
	}
	if m.config.Disk != nil {
		conn, err := m.take(ctx, links["disk"])
		if err != nil {
			return err
		}
		go func() { _ = m.config.Disk.Serve(conn) }() // the machine says what it could not read
	}
	if m.config.Wire != nil {
		conn, err := m.take(ctx, links["wire"])
		if err != nil {
			return err
		}
		go func() { _ = m.config.Wire.Serve(conn) }() // the same
	}
	conn, err := m.take(ctx, links["monitor"])
	if err != nil {
		return err
	}
	if m.monitor, err = newMonitor(conn); err != nil {
		return m.because(err)
	}
	if m.config.Saved != "" {
		return m.resume(ctx)
	}
	return nil
}

// because prefers QEMU's own words to those of a connection that it let go.
func (m *Machine) because(err error) error {
	select {
	case <-m.qemu.ended:
		return m.Ended()
	case <-time.After(time.Second):
		return err
	}
}

// take waits for QEMU to connect, for as long as it lives.
func (m *Machine) take(ctx context.Context, l net.Listener) (net.Conn, error) {
	type link struct {
		conn net.Conn
		err  error
	}
	ready := make(chan link, 1)
	go func() {
		conn, err := l.Accept()
		ready <- link{conn, err}
	}()
	select {
	case got := <-ready:
		if got.err == nil {
			m.links = append(m.links, got.conn)
		}
		return got.conn, got.err
	case <-m.qemu.ended:
		return nil, m.Ended()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// processor is one of this host's, or an emulated one. An emulated one has a clock
// that counts what it has done, so that a guest on a busy host does not wait in
// vain, or take its timer for broken: four nanoseconds an instruction, since a
// faster clock makes its waits longer and a slower one its ticks more. It has no
// vector instructions, whose emulation is slower than what a kernel does without
// them, and is of a family of which the kernel knows no speculation to guard
// against. It has no time stamp counter: by it the kernel waits in a loop of
// PAUSE, each of which leaves the emulated code, so that the five seconds before
// a panic's restart took 69 of the processor; without it they take 5 (2026-11-27).
func (c Config) processor() []string {
	if c.KVM {
		return []string{"-accel", "kvm", "-cpu", "host"}
	}
	return []string{"-accel", "tcg,thread=single", "-icount", "shift=2,sleep=on",
		"-cpu", "max,vendor=GenuineIntel,family=5,xsave=off,ssse3=off,sse4.1=off,sse4.2=off,aes=off,pclmulqdq=off," +
			"erms=off,fsrm=off,smap=off,smep=off,la57=off,pku=off,umip=off,tsc=off"}
}

// controller is what the disk is connected to: like a confidential VM's of
// Compute Engine, or like its older ones' where the machine is to be saved. Without
// ioeventfd it stops without waiting for the disk (Freeze).
func (c Config) controller() []string {
	if c.Movable {
		return []string{"-device", "virtio-scsi-pci,ioeventfd=off", "-device", "scsi-hd,drive=disk,serial=node,bootindex=1"}
	}
	return []string{"-device", "nvme,drive=disk,serial=node,bootindex=1"}
}

func (m *Machine) arguments() []string {
	c := m.config
	args := append(c.processor(), "-machine", "q35,smm=off,sata=off,smbus=off,vmport=off,hpet=off",
		"-m", strconv.Itoa(memory), "-smp", "1", "-nodefaults", "-no-user-config", "-display", "none",
		"-device", "VGA", "-device", "virtio-rng-pci",
		"-drive", "if=pflash,format=raw,unit=0,readonly=on,file="+c.Programs.Firmware,
		"-drive", "if=pflash,format=raw,unit=1,file="+m.path("variables"),
		"-chardev", "socket,id=tpm,path="+m.path("tpm-link"), "-tpmdev", "emulator,id=tpm0,chardev=tpm",
		"-device", "tpm-crb,tpmdev=tpm0",
		"-chardev", "file,id=serial,path="+m.path("serial.log"), "-serial", "chardev:serial",
		"-chardev", "socket,id=monitor,path="+m.path("monitor"), "-mon", "chardev=monitor,mode=control")
	if c.Disk != nil {
		args = append(args, "-blockdev", "driver=nbd,node-name=disk,server.type=unix,server.path="+m.path("disk"))
		args = append(args, c.controller()...)
	}
	if c.Wire != nil {
		args = append(args, "-netdev", "stream,id=wire,server=off,addr.type=unix,addr.path="+m.path("wire"),
			"-device", "virtio-net-pci,netdev=wire,romfile=,mac="+c.MAC)
	}
	if c.Saved != "" {
		args = append(args, "-incoming", "defer")
	}
	for _, text := range c.SMBIOS {
		args = append(args, "-smbios", "type=11,value="+strings.ReplaceAll(text, ",", ",,"))
	}
	for i, f := range c.Files {
		args = append(args, "-fw_cfg", "name="+f.Name+",file="+m.file(i))
	}
	return args
}

// Close ends the machine.
func (m *Machine) Close() {
	for _, r := range []*running{m.qemu, m.tpm} {
		if r != nil {
			r.kill()
		}
	}
	for _, l := range m.links {
		_ = l.Close() // of a program that is gone
	}
}

// Ended says why the machine ended by itself, nil while it runs.
func (m *Machine) Ended() error {
	select {
	case <-m.qemu.ended:
		return &fault.Error{Code: fault.General, Message: "QEMU ended", Err: cmp.Or(m.qemu.wait(), errors.New("by itself"))}
	default:
		return nil
	}
}

// Age is how long the machine has been there.
func (m *Machine) Age() time.Duration { return time.Since(m.begun) }

// Measured are the measurements of each boot so far.
func (m *Machine) Measured() ([][]Measurement, error) {
	f, err := os.Open(m.path("tpm.log"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return Measured(f)
}

// Serial is what came out of the first serial port.
func (m *Machine) Serial() ([]byte, error) { return os.ReadFile(m.path("serial.log")) }

// Store is what the firmware keeps its variables in, as it is now.
func (m *Machine) Store() ([]byte, error) { return os.ReadFile(m.path("variables")) }

// Events are what the emulator said of the machine.
func (m *Machine) Events() []MonitorEvent {
	m.monitor.state.Lock()
	defer m.monitor.state.Unlock()
	return append([]MonitorEvent(nil), m.monitor.events...)
}

// Restarts is how often the guest itself restarted or stopped the machine.
func (m *Machine) Restarts() int {
	count := 0
	for _, e := range m.Events() {
		if guest, _ := e.Data["guest"].(bool); guest && (e.Name == "RESET" || e.Name == "SHUTDOWN") {
			count++
		}
	}
	return count
}

// Reset is the button.
func (m *Machine) Reset() error { return m.monitor.execute("system_reset", nil, nil) }

// Running says whether the processor runs, and not only the emulator.
func (m *Machine) Running() (bool, error) {
	var status struct {
		Running bool `json:"running"`
	}
	err := m.monitor.execute("query-status", nil, &status)
	return status.Running, err
}

// Press holds keys of the console's keyboard down together, and lets them go.
func (m *Machine) Press(keys ...string) error {
	var values []map[string]string
	for _, k := range keys {
		values = append(values, map[string]string{"type": "qcode", "data": k})
	}
	return m.monitor.execute("send-key", map[string]any{"keys": values}, nil)
}

// Screen is the digest of what is on the console's screen.
func (m *Machine) Screen() (digest.Digest, error) {
	name := m.path("screen.ppm")
	if err := m.monitor.execute("screendump", map[string]any{"filename": name}, nil); err != nil {
		return digest.Digest{}, err
	}
	b, err := os.ReadFile(name)
	return digest.Of(b), err
}

// Busy is the processor time that the emulator has taken so far.
func (m *Machine) Busy() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", m.qemu.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 13 {
		return 0, errors.New("/proc/PID/stat has another form")
	}
	user, err1 := strconv.Atoi(string(fields[11]))
	system, err2 := strconv.Atoi(string(fields[12]))
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(err1, err2) // in hundredths of a second
}
