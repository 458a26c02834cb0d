// Package tsm is how a TD asks its kernel for quotes and extends its RTMRs.
//
// Its promise: one configfsi.Client, whichever of the kernel's two interfaces
// to the RTMRs is there, so that the agent's code is the same on hardware of
// any age and over a simulated TD.
package tsm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/go-configfs-tsm/configfs/configfsi"
	"github.com/google/go-configfs-tsm/configfs/linuxtsm"

	"github.com/calimero-network/mero-tee/internal/base/retry"
)

// Measurements is where Linux 6.16 and later show the registers:
// Documentation/ABI/testing/sysfs-devices-virtual-misc-tdx_guest, "Read from any
// of these returns the current value of the corresponding RTMR. Write extends
// the written buffer to the RTMR. All writes must start at offset 0 and be 48
// bytes in size."
const Measurements = "/sys/devices/virtual/misc/tdx_guest/measurements"

// subsystem is configfs-tsm's directory of RTMRs, which never reached mainline.
const subsystem = configfsi.TsmPrefix + "/rtmrs"

// Open is the client of the TD that this process runs in: the one that somebody
// serves at the socket, or, when socket is empty, the kernel's.
func Open(socket string) (configfsi.Client, error) {
	if socket != "" {
		return Dial(socket), nil
	}
	client, err := linuxtsm.MakeClient()
	if err != nil {
		return nil, fmt.Errorf("configfs-tsm: %w", err)
	}
	if _, err := os.Stat(subsystem); !errors.Is(err, fs.ErrNotExist) {
		return client, nil
	}
	if _, err := os.Stat(Measurements); err != nil {
		return nil, fmt.Errorf("the kernel shows no RTMRs, neither in %s nor in %s: %w", subsystem, Measurements, err)
	}
	return Sysfs(client, Measurements), nil
}

// patience is how long a boot may take to show the registers.
const patience = 30 * time.Second

// Await is Open for early boot, when the kernel's module may be loaded at the same
// time: it asks again, for half a minute at most, unless the processor is not that
// of a TD. What others serve at a socket is not waited for.
func Await(ctx context.Context, socket string) (configfsi.Client, error) {
	p := retry.Policy{First: 50 * time.Millisecond, Most: time.Second, Total: patience}
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		info = []byte("flags: " + flag) // nothing is known, so it is waited for
	}
	return await(ctx, p, info, func() (configfsi.Client, error) { return Open(socket) })
}

// flag is that of a processor in a TD: Linux sets it before anything of user space
// runs (arch/x86/coco/tdx/tdx.c, tdx_early_init), and the module that shows the
// registers loads for no other (drivers/virt/coco/tdx-guest/tdx-guest.c, tdx_guest_ids).
const flag = "tdx_guest"

var loading = &retry.Class{}

func await(ctx context.Context, p retry.Policy, info []byte, open func() (configfsi.Client, error)) (
	c configfsi.Client, err error,
) {
	class := loading
	if !inTD(info) {
		class = nil // no module will show what this machine has not
	}
	err = p.Do(ctx, func(int) (err error) {
		c, err = open()
		return err
	}, func(error) (*retry.Class, time.Duration) { return class, 0 })
	if err != nil && class == nil {
		err = fmt.Errorf("this machine is no TD, its processor has no flag %s: %w", flag, err)
	}
	return c, err
}

// inTD says whether what Linux shows of the processors, /proc/cpuinfo, is that of a TD.
func inTD(info []byte) bool {
	for line := range strings.Lines(string(info)) {
		name, flags, _ := strings.Cut(line, ":")
		if strings.TrimSpace(name) == "flags" && slices.Contains(strings.Fields(flags), flag) {
			return true
		}
	}
	return false
}

// Sysfs answers for the subsystem rtmrs from the folder of measurements, and
// leaves everything else to client.
func Sysfs(client configfsi.Client, folder string) configfsi.Client {
	return sysfs{client, folder}
}

type sysfs struct {
	configfsi.Client
	folder string
}

const registers = 4

// ReadDir lists one entry for each RTMR; they need not be made.
func (s sysfs) ReadDir(dir string) ([]os.DirEntry, error) {
	if filepath.Clean(dir) != subsystem {
		return s.Client.ReadDir(dir)
	}
	out := make([]os.DirEntry, registers)
	for i := range out {
		out[i] = entry(fmt.Sprintf("rtmr%d", i))
	}
	return out, nil
}

// ReadFile reads an RTMR's index, digest or tcg_map.
func (s sysfs) ReadFile(name string) ([]byte, error) {
	e, attribute, ours := split(name)
	switch {
	case !ours:
		return s.Client.ReadFile(name)
	case !e.known():
		return nil, fs.ErrNotExist
	case attribute == "index":
		return []byte(strings.TrimPrefix(string(e), "rtmr") + "\n"), nil
	case attribute == "digest":
		return os.ReadFile(s.path(e))
	case attribute == "tcg_map": // sysfs has none
		return []byte("\n"), nil
	}
	return nil, fs.ErrNotExist
}

// WriteFile extends an RTMR: one write of the whole digest.
func (s sysfs) WriteFile(name string, contents []byte) error {
	e, attribute, ours := split(name)
	switch {
	case !ours:
		return s.Client.WriteFile(name, contents)
	case !e.known() || attribute != "digest":
		return fs.ErrPermission
	}
	f, err := os.OpenFile(s.path(e), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(contents)
	return errors.Join(err, f.Close())
}

func (s sysfs) path(e entry) string { return filepath.Join(s.folder, string(e)+":sha384") }

// split takes apart a path below the subsystem.
func split(name string) (e entry, attribute string, ours bool) {
	rest, ours := strings.CutPrefix(filepath.Clean(name), subsystem+"/")
	dir, attribute := filepath.Split(rest)
	return entry(filepath.Clean(dir)), attribute, ours
}

// entry is the directory of one RTMR.
type entry string

func (e entry) known() bool {
	return len(e) == len("rtmr0") && strings.HasPrefix(string(e), "rtmr") && e[4] >= '0' && e[4] < '0'+registers
}

func (e entry) Name() string             { return string(e) }
func (entry) IsDir() bool                { return true }
func (entry) Type() os.FileMode          { return os.ModeDir }
func (entry) Info() (os.FileInfo, error) { return nil, fs.ErrNotExist }
