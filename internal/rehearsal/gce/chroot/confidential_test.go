package chroot_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

// quoted is the quote of a report and what the event log says of it.
func quoted(t *testing.T, r report) (*tdx.Quote, []tdx.Event) {
	t.Helper()
	q, err := tdx.ParseQuote(r.Quote)
	require.NoError(t, err)
	log, err := tdx.ParseCCEL(r.Log)
	require.NoError(t, err)
	return q, log
}

func TestTheDiskBoots(t *testing.T) {
	t.Parallel()
	disk := newDisk(t, units())
	_, s, reports := boot(t, newHost(t, chroot.Faults{}), disk)
	got := received(t, s, reports)
	s.wait(t, "[  OK  ] Finished mero-agent.service.")
	require.Contains(t, s.String(), "Command line: mero.profile=debug quiet\n[  OK  ] Finished mero-measure.service.")

	events, err := chroot.Measure(disk)
	require.NoError(t, err)
	want := registers(events)
	want.RTMR3 = tdx.ProfileRTMR3("debug")
	q, log := quoted(t, got)
	require.Equal(t, want, q.Registers)
	require.False(t, q.Debug())
	for i, register := range []tdx.Register{want.RTMR0, want.RTMR1, want.RTMR2} {
		require.Equal(t, register, tdx.Replay(log, i))
		require.False(t, register.IsZero())
	}
	line, err := tdx.KernelCommandLine(log)
	require.NoError(t, err)
	require.True(t, tdx.BootedWith(line, "mero.profile=debug quiet"), line)

	require.Equal(t, nonce, got.Nonce)
	require.Equal(t, "node", got.Hostname)
	require.Equal(t, "http://127.0.0.1:9", got.Proxy)
	require.Equal(t, "certificate\n", got.Certificate)
	require.Equal(t, "two words", got.Extra)
	require.Equal(t, 0, got.UID)
	require.Equal(t, 2, got.Processes, "sh and the service, nothing of this machine's")
	require.Equal(t, map[string]bool{"/": true, "/etc": true, "/run": true, "/tmp": true, "/sys": false, "/var": true},
		got.Writable)
	require.FileExists(t, filepath.Join(disk, "etc/written"))
	require.NoFileExists(t, filepath.Join(disk, "tmp/written"))
}

const veritysetup = "/usr/sbin/veritysetup" // Debian's place, which not every PATH names

// freeze gives the disk a verified root, as a read-only profile has.
func freeze(t *testing.T, disk string) {
	t.Helper()
	for _, program := range []string{"mksquashfs", "unsquashfs", veritysetup} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("a verified root needs %s, which is not installed: see `go tool mage doctor -family=node`", program)
		}
	}
	image := filepath.Join(disk, "boot/mero/root.img")
	run(t, "mksquashfs", disk, image, "-e", filepath.Join(disk, "boot/mero"), "-noappend", "-quiet", "-no-progress")
	info, err := os.Stat(image)
	require.NoError(t, err)
	offset := (info.Size() + 4095) / 4096 * 4096
	require.NoError(t, os.Truncate(image, offset))
	said := run(t, veritysetup, "format", image, image, "--hash-offset="+strconv.FormatInt(offset, 10),
		"--salt="+strings.Repeat("ab", 32))
	hash := regexp.MustCompile(`Root hash:\s+([0-9a-f]{64})`).FindStringSubmatch(said)
	require.Len(t, hash, 2, said)
	commandLine(t, disk, "mero.rootfs=squashfs mero.roothash="+hash[1]+" mero.hashoffset="+strconv.FormatInt(offset, 10))
}

func commandLine(t *testing.T, disk, line string) {
	t.Helper()
	write(t, disk, "etc/default/grub.d/60-root.cfg", `GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX `+line+`"`)
}

func run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

func TestAVerifiedRootBoots(t *testing.T) {
	t.Parallel()
	h := newHost(t, chroot.Faults{})
	disk := newDisk(t, units())
	write(t, disk, "etc/fstab", "tmpfs /var tmpfs nosuid,nodev,mode=0755 0 0")
	freeze(t, disk)
	write(t, disk, "etc/systemd/system/mero-agent.service", unit("", "say this is not what was frozen"))

	m, s, reports := boot(t, h, disk)
	first := received(t, s, reports)
	require.Equal(t, map[string]bool{"/": false, "/etc": false, "/run": true, "/tmp": true, "/sys": false, "/var": true},
		first.Writable)
	require.NoError(t, m.Stop())
	require.NotContains(t, s.String(), "not what was frozen")
	_, s, reports = boot(t, h, disk)
	second := received(t, s, reports)
	one, _ := quoted(t, first)
	two, _ := quoted(t, second)
	require.Equal(t, one.Registers, two.Registers, "two boots agree")
}

// A root that is not what the command line says never boots: the machine is there, and silent.
func TestARootThatDoesNotVerify(t *testing.T) {
	t.Parallel()
	h := newHost(t, chroot.Faults{})
	good := newDisk(t, units())
	freeze(t, good)
	_, s, reports := boot(t, h, good)
	received(t, s, reports) // so that its files are unpacked already

	for name, spoil := range map[string]func(disk string){
		"a flipped byte": func(disk string) { flip(t, disk, 1000) },
		"a flipped byte of the hash tree": func(disk string) {
			info, err := os.Stat(filepath.Join(disk, "boot/mero/root.img"))
			require.NoError(t, err)
			flip(t, disk, info.Size()-4000)
		},
		"another hash": func(disk string) {
			commandLine(t, disk, "mero.rootfs=squashfs mero.roothash="+strings.Repeat("00", 32)+" mero.hashoffset=4096")
		},
		"no offset": func(disk string) {
			commandLine(t, disk, "mero.rootfs=squashfs mero.roothash="+strings.Repeat("00", 32))
		},
		"a short hash": func(disk string) {
			commandLine(t, disk, "mero.rootfs=squashfs mero.roothash=00 mero.hashoffset=4096")
		},
		"no hash":    func(disk string) { commandLine(t, disk, "mero.rootfs=squashfs") },
		"two hashes": func(disk string) { commandLine(t, disk, "mero.roothash=1 mero.roothash=2") },
		"another format": func(disk string) {
			commandLine(t, disk, "mero.rootfs=ext4 mero.roothash="+strings.Repeat("00", 32)+" mero.hashoffset=1")
		},
		"no image":        func(disk string) { require.NoError(t, os.Remove(filepath.Join(disk, "boot/mero/root.img"))) },
		"a shell's work":  func(disk string) { write(t, disk, "etc/default/grub.d/70.cfg", "rm -rf /") },
		"a command's say": func(disk string) { write(t, disk, "etc/default/grub.d/70.cfg", "GRUB_CMDLINE_LINUX=`id`") },
		"a link": func(disk string) {
			image := filepath.Join(disk, "boot/mero/root.img")
			require.NoError(t, os.Rename(image, image+".real"))
			require.NoError(t, os.Symlink(image+".real", image))
		},
	} {
		t.Run(name, func(t *testing.T) {
			disk := filepath.Join(t.TempDir(), "disk")
			run(t, "cp", "-a", good, disk)
			spoil(disk)
			m, s, reports := boot(t, h, disk)
			s.wait(t, "Kernel panic - not syncing: ")
			select {
			case <-m.Done():
				t.Fatal("a machine that does not boot is running all the same")
			default:
			}
			require.NoError(t, m.Stop())
			require.Empty(t, reports)
			require.NotContains(t, s.String(), "mero-agent.service")
		})
	}
}

func flip(t *testing.T, disk string, at int64) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(disk, "boot/mero/root.img"), os.O_RDWR, 0)
	require.NoError(t, err)
	b := make([]byte, 1)
	_, err = f.ReadAt(b, at)
	require.NoError(t, err)
	b[0] ^= 1
	_, err = f.WriteAt(b, at)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

func TestFaults(t *testing.T) {
	t.Parallel()
	h := newHost(t, chroot.Faults{Drift: true, Unlogged: true, TD: []tdxsim.TDOption{tdxsim.Debug}})
	var seen []tdx.Register
	for range 2 {
		_, s, reports := boot(t, h, newDisk(t, units()))
		q, log := quoted(t, received(t, s, reports))
		require.True(t, q.Debug())
		require.NotEqual(t, q.Registers.RTMR2, tdx.Replay(log, 2), "the log does not replay")
		require.Equal(t, q.Registers.RTMR1, tdx.Replay(log, 1))
		seen = append(seen, q.Registers.RTMR2)
	}
	require.NotEqual(t, seen[0], seen[1], "two boots disagree")
}

// Programs that know only the production name reach the instance's metadata server too.
func TestTheMetadatasName(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("who is not root has no port 80")
	}
	h := newHost(t, chroot.Faults{})
	reports := make(chan report, 1)
	server := httptest.NewServer(metadata(t, reports))
	t.Cleanup(server.Close)
	disk := newDisk(t, map[string]string{"tell.service": strings.ReplaceAll(unit("", "tell"), "'EXTRA",
		"GCE_METADATA_HOST=metadata.google.internal 'EXTRA")})
	s := newSerial()
	m, err := h.Boot(t.Context(), chroot.Spec{Name: "node", Disk: disk, Confidential: true, Serial: s,
		Address:  "127.4.0.3",
		Metadata: strings.TrimPrefix(server.URL, "http://")})
	require.NoError(t, err)
	require.Equal(t, nonce, received(t, s, reports).Nonce)
	require.NoError(t, m.Stop())
	_, err = net.Dial("tcp4", "127.4.0.3:80")
	require.Error(t, err, "it ends with the machine")
}

// An answer that begins before the request has ended comes whole through that name, too.
func TestTheMetadatasNameAnswersEarly(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("who is not root has no port 80")
	}
	reports := make(chan report, 1)
	routes := http.NewServeMux()
	routes.Handle("/", metadata(t, reports))
	routes.HandleFunc("/early", func(w http.ResponseWriter, r *http.Request) {
		require.NoError(t, http.NewResponseController(w).EnableFullDuplex())
		_ = http.NewResponseController(w).Flush()
		_, _ = io.Copy(w, r.Body)
	})
	server := httptest.NewServer(routes)
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() }) // whatever became of the request
	s := newSerial()
	m, err := newHost(t, chroot.Faults{}).Boot(t.Context(),
		chroot.Spec{Name: "node", Disk: newDisk(t, units()), Confidential: true, Serial: s,
			Address: "127.4.0.4", Metadata: strings.TrimPrefix(server.URL, "http://")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Stop()) })
	received(t, s, reports) // it has booted

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	body, rest := io.Pipe()
	context.AfterFunc(ctx, func() { _ = rest.CloseWithError(context.Cause(ctx)) }) // the client waits for its body
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://127.4.0.4/early", body)
	require.NoError(t, err)
	req.ContentLength = int64(len("first" + "second"))
	go func() { _, _ = rest.Write([]byte("first")) }()
	transport := &http.Transport{} // of kept connections: only of those the server reads on
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	require.NoError(t, err, "the answer waits for the end of the request")
	defer resp.Body.Close()
	go func() { _, _ = rest.Write([]byte("second")); _ = rest.Close() }()
	got, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, "firstsecond", string(got))
}

// The profiles without Google's guest agent mask it: then nobody makes logins.
func TestNoGuestAgent(t *testing.T) {
	t.Parallel()
	h := newHost(t, chroot.Faults{})
	for name, masked := range map[string]bool{"masked": true, "there": false} {
		disk := newDisk(t, nil)
		require.NoError(t, os.Symlink("/lib/systemd/system/ssh.service",
			filepath.Join(disk, "etc/systemd/system/multi-user.target.wants/ssh.service")))
		if masked {
			require.NoError(t, os.Symlink("/dev/null", filepath.Join(disk, "etc/systemd/system/google-guest-agent.service")))
		}
		s := newSerial()
		m, err := h.Boot(t.Context(), chroot.Spec{Name: "node", Disk: disk, Confidential: true, Serial: s, SSHPort: 1,
			Users: map[string]string{"debug": "key"}})
		require.NoError(t, err)
		s.wait(t, "sshd ended: exit status 127") // this disk has none
		require.NoError(t, m.Stop())
		require.Equal(t, !masked, strings.Contains(s.String(), "google-guest-agent: login debug: exit status"), name)
	}
}

func TestServices(t *testing.T) {
	t.Parallel()
	services := map[string]string{
		"a.service": unit("", "fail"),
		"b.service": unit("After=a.service\nRequires=a.service", "say b runs"),
		"c.service": unit("After=b.service\nRequires=b.service", "say c runs"),
		"d.service": unit("After=c.service\nWants=c.service", `say "d  runs" and "it's told" \x41`),
		"e.service": unit("ConditionFirstBoot=yes", "say e runs"),
		"f.service": strings.ReplaceAll(unit("", "tell"), "Type=", "User=mero\nType="),
		"g.service": strings.ReplaceAll(unit("After=f.service", "say g runs"), "Type=", "User=nobody-here\nType="),
		"h.service": "[Service]\nType=oneshot\n" +
			"ExecStart=/usr/lib/mero/mero-agent say first\nExecStart=/no/such/program\n" +
			"ExecStart=/usr/lib/mero/mero-agent say third\n",
		"z-later.service": unit("After=h.service g.service", "say the end"),
	}
	_, s, reports := boot(t, newHost(t, chroot.Faults{}), newDisk(t, services))
	got := received(t, s, reports)
	require.Equal(t, 1000, got.UID)
	require.ElementsMatch(t, []int{1001, 1002}, got.Groups)
	require.Equal(t, map[string]bool{"/": false, "/etc": false, "/run": false, "/tmp": true, "/sys": false, "/var": false},
		got.Writable)
	s.wait(t, "Finished z-later.service.")
	said := s.String()
	for _, want := range []string{
		"guest: told to fail\n[FAILED] Failed to start a.service: /usr/lib/mero/mero-agent: exit status 1\n",
		"[FAILED] Failed to start b.service: it requires a.service\n",
		"[FAILED] Failed to start c.service: it requires b.service\n",
		"d  runs and it's told A\n[  OK  ] Finished d.service.\n",
		"[FAILED] Failed to start e.service: e.service: ConditionFirstBoot= is not supported here\n",
		"[  OK  ] Finished f.service.\n",
		"[FAILED] Failed to start g.service: the image has no user \"nobody-here\"\n",
		"first\n", "[FAILED] Failed to start h.service: /no/such/program: exit status 127\n",
		"the end\n",
	} {
		require.Contains(t, said, want)
	}
	for _, no := range []string{"b runs", "c runs", "e runs", "g runs", "third"} {
		require.NotContains(t, said, no)
	}
}
