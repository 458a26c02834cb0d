package chroot_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot/disktest"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/hang"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot/bootchain"
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
	folder := newDisk(t, units())
	disk := seal(t, folder, []string{debug})
	before := sum(t, disk)
	m, s, reports := boot(t, newHost(t, chroot.Faults{}), disk)
	got := received(t, s, reports)
	s.wait(t, "[  OK  ] Finished mero-agent.service.")
	predicted := opened(t, disk)
	require.Contains(t, s.String(), "Command line: "+predicted.CommandLine+"\n[  OK  ] Finished mero-measure.service.")

	q, log := quoted(t, got)
	want := tdx.Registers{MRTD: sha512.Sum384([]byte("rehearsal GCP firmware")),
		RTMR0: tdx.Replay(bootchain.C3().Events(), 0), RTMR3: tdx.ProfileRTMR3("debug")}
	want.RTMR1, want.RTMR2 = predicted.Registers()
	require.Equal(t, want, q.Registers)
	require.False(t, q.Debug())
	require.NoError(t, predicted.Judge(log), "the log is what is predicted from the disk, event by event")
	for i, register := range []tdx.Register{want.RTMR0, want.RTMR1, want.RTMR2} {
		require.Equal(t, register, tdx.Replay(log, i))
		require.False(t, register.IsZero())
	}

	require.Equal(t, nonce, got.Nonce)
	require.Equal(t, "node", got.Hostname)
	require.Equal(t, "http://127.0.0.1:9", got.Proxy)
	require.Equal(t, "certificate\n", got.Certificate)
	require.Equal(t, "two words", got.Extra)
	require.Equal(t, 0, got.UID)
	require.Equal(t, 2, got.Processes, "sh and the service, nothing of this machine's")
	require.Equal(t, map[string]bool{"/": true, "/etc": true, "/run": true, "/tmp": true, "/sys": false, "/var": true},
		got.Writable)
	require.NoError(t, m.Stop())
	require.Equal(t, before, sum(t, disk), "what was written was in memory")
}

func sum(t *testing.T, disk string) [sha256.Size]byte {
	t.Helper()
	data, err := os.ReadFile(disk)
	require.NoError(t, err)
	return sha256.Sum256(data)
}

func run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

// What is in memory differs by the command line's word; no boot sees what another wrote.
func TestRootsThatAreReadOnly(t *testing.T) {
	t.Parallel()
	h := newHost(t, chroot.Faults{})
	const fstab = "tmpfs /var tmpfs nosuid,nodev,mode=0755 0 0"
	for name, tc := range map[string]struct {
		words []string
		fstab string
		want  []string
	}{
		"no word":          {nil, "", []string{"/run", "/tmp"}},
		"/var by fstab":    {nil, fstab, []string{"/run", "/tmp", "/var"}},
		"/var by its word": {[]string{"systemd.volatile=state"}, "", []string{"/run", "/tmp", "/var"}},
		"all of it":        {[]string{debug}, fstab, []string{"/", "/etc", "/run", "/tmp", "/var"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := newDisk(t, units())
			write(t, folder, "etc/fstab", tc.fstab)
			disk := seal(t, folder, tc.words)
			var before *tdx.Quote
			for range 2 {
				m, s, reports := boot(t, h, disk)
				got := received(t, s, reports)
				require.Empty(t, got.Found, "nothing of an earlier boot")
				for where, is := range got.Writable {
					require.Equal(t, slices.Contains(tc.want, where), is, where)
				}
				require.NoError(t, m.Stop())
				q, _ := quoted(t, got)
				if before != nil {
					require.Equal(t, before.Registers, q.Registers, "two boots agree")
				}
				before = q
			}
		})
	}
}

// A disk that is not understood, or whose root is not the one that its command
// line names, never boots: the machine is there, says why, and runs nothing.
func TestDisksThatDoNotBoot(t *testing.T) {
	t.Parallel()
	h := newHost(t, chroot.Faults{})
	folder := newDisk(t, units())
	good := seal(t, folder, []string{debug})
	_, s, reports := boot(t, h, good)
	received(t, s, reports) // so that its files are unpacked already
	data, err := os.ReadFile(good)
	require.NoError(t, err)
	root := int64(bytes.Index(data, []byte("hsqs")))

	for name, tc := range map[string]struct {
		spoil func(t *testing.T, disk string)
		want  string
	}{
		"a byte of the root": {func(t *testing.T, disk string) { flip(t, disk, root+1000) },
			"the root file system does not verify: "},
		"a byte of the table": {func(t *testing.T, disk string) { flip(t, disk, 512+60) }, "partition table"},
		"a byte of the kernel": {func(t *testing.T, disk string) {
			change(t, disk, int64(bytes.Index(data, []byte("roothash=")))+10, func(digit byte) byte {
				if digit == '0' { // a digit of another hash, whatever the files' times make of this one
					return '1'
				}
				return '0'
			})
		}, "the root file system does not verify: "},
		"a disk that is cut": {func(t *testing.T, disk string) {
			require.NoError(t, os.Truncate(disk, int64(len(data)-512)))
		}, "the disk is cut or grown"},
		"nothing": {func(t *testing.T, disk string) { require.NoError(t, os.Truncate(disk, 0)) }, ""},
		"a way in": {func(t *testing.T, disk string) {
			require.NoError(t, os.Rename(seal(t, folder, []string{"init=/bin/sh"}), disk))
		}, "init=/bin/sh"},
		"a folder": {func(t *testing.T, disk string) {
			require.NoError(t, os.Remove(disk))
			require.NoError(t, os.Mkdir(disk, 0o755))
		}, "no bootable device"},
		"no root": {func(t *testing.T, disk string) {
			require.NoError(t, os.Remove(disk))
			require.NoError(t, disktest.Make(disktest.Spec{}).WriteFile(disk))
		}, "unsquashfs: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk := filepath.Join(t.TempDir(), "disk.raw")
			require.NoError(t, os.WriteFile(disk, data, 0o600))
			tc.spoil(t, disk)
			m, s, reports := boot(t, h, disk)
			s.wait(t, "Kernel panic - not syncing: ")
			require.Contains(t, s.String(), tc.want)
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
	change(t, disk, at, func(b byte) byte { return b ^ 1 })
}

func change(t *testing.T, disk string, at int64, to func(byte) byte) {
	t.Helper()
	f, err := os.OpenFile(disk, os.O_RDWR, 0)
	require.NoError(t, err)
	b := make([]byte, 1)
	_, err = f.ReadAt(b, at)
	require.NoError(t, err)
	b[0] = to(b[0])
	_, err = f.WriteAt(b, at)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// Who boots a raw disk otherwise is told that no kernel runs here.
func TestARawDiskInAnOrdinaryMachine(t *testing.T) {
	t.Parallel()
	h := newHost(t, chroot.Faults{})
	s := newSerial()
	m, err := h.Boot(t.Context(), chroot.Spec{Name: "x", Disk: node(t, nil), Serial: s})
	require.NoError(t, err)
	s.wait(t, "Kernel panic - not syncing: a raw disk boots confidential VMs alone")
	require.NoError(t, m.Stop())
}

func TestFaults(t *testing.T) {
	t.Parallel()
	h := newHost(t, chroot.Faults{Drift: true, Unlogged: true, TD: []tdxsim.TDOption{tdxsim.Debug}})
	var seen []tdx.Register
	for range 2 {
		_, s, reports := boot(t, h, node(t, units()))
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
	disk := node(t, map[string]string{"tell.service": strings.ReplaceAll(unit("", "tell"), "'EXTRA",
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
		chroot.Spec{Name: "node", Disk: node(t, units()), Confidential: true, Serial: s,
			Address: "127.4.0.4", Metadata: strings.TrimPrefix(server.URL, "http://")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Stop()) })
	received(t, s, reports) // it has booted

	ctx := hang.Context(t)
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
		disk = seal(t, disk, []string{debug})
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
	_, s, reports := boot(t, newHost(t, chroot.Faults{}), node(t, services))
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
