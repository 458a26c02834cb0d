package chroot_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot"
	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot/disktest"
	"github.com/calimero-network/mero-tee/internal/base/hang"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot"
	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

// open gives a host in a folder that nobody else uses.
func open(dir string, faults chroot.Faults) (*chroot.Host, error) {
	pki, err := tdxsim.NewPKI([]byte("machine"))
	if err != nil {
		return nil, err
	}
	platform, err := pki.NewPlatform(1)
	if err != nil {
		return nil, err
	}
	return chroot.Open(context.Background(), chroot.Options{Dir: dir, TDX: platform, Faults: faults,
		Proxy: network.Proxy{URL: "http://127.0.0.1:9", CertificatePEM: []byte("certificate\n")}})
}

// newHost skips the test on a machine that runs no VMs.
func newHost(t *testing.T, faults chroot.Faults) *chroot.Host {
	t.Helper()
	if testing.Short() {
		t.Skip("starts VMs")
	}
	dir := filepath.Join(t.TempDir(), "hosts")
	h, err := open(dir, faults)
	if err != nil {
		t.Skipf("%v", err)
	}
	t.Cleanup(func() {
		require.NoError(t, h.Close())
		left, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Empty(t, left)
	})
	return h
}

// program is the guest, built once.
var program = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "guest-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "guest")
	cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", out, "./testdata/guest")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		return said, err
	}
	return os.ReadFile(out)
})

// unit is an enabled one-shot service of the guest.
func unit(settings, do string) string {
	return "[Unit]\n" + settings +
		"\n[Service]\nType=oneshot\nEnvironment='EXTRA=two words'\nExecStart=/usr/lib/mero/mero-agent " + do +
		"\n[Install]\nWantedBy=multi-user.target\n"
}

// units are those of a node image.
func units() map[string]string {
	return map[string]string{
		"mero-measure.service": unit("DefaultDependencies=no\nBefore=sysinit.target", "measure"),
		"mero-agent.service":   unit("Requires=mero-measure.service", "tell"),
	}
}

// newDisk is a root file system with nothing but the guest and the units.
func newDisk(t *testing.T, units map[string]string) string {
	t.Helper()
	disk := filepath.Join(t.TempDir(), "disk")
	for _, dir := range []string{"proc", "sys", "dev", "run", "tmp", "var", "usr/lib/mero", "etc/modules-load.d",
		"usr/lib/modules/7.0.0-1012-gcp/kernel/drivers/virt/coco/tdx-guest",
		"etc/systemd/system/multi-user.target.wants"} {
		require.NoError(t, os.MkdirAll(filepath.Join(disk, dir), 0o755))
	}
	guest, err := program()
	require.NoError(t, err, string(guest))
	// No fork while the program is open for writing, or executing it fails with "text file busy".
	syscall.ForkLock.RLock()
	err = os.WriteFile(filepath.Join(disk, "usr/lib/mero/mero-agent"), guest, 0o755)
	syscall.ForkLock.RUnlock()
	require.NoError(t, err)
	write(t, disk, "etc/passwd", "root:x:0:0::/root:/bin/sh\nmero:x:1000:1001::/home/mero:/bin/sh\n")
	write(t, disk, "etc/group", "root:x:0:\nmero:x:1001:\nmore:x:1002:root,mero\n")
	write(t, disk, "etc/hosts", "")
	write(t, disk, "usr/lib/modules/7.0.0-1012-gcp"+guestModule, "")
	write(t, disk, "etc/modules-load.d/mero.conf", "tdx_guest\n")
	write(t, disk, "etc/fstab", "# what where type options\nLABEL=x / ext4 defaults 0 1\n")
	for name, text := range units {
		write(t, disk, "etc/systemd/system/"+name, text)
		require.NoError(t, os.Symlink("/etc/systemd/system/"+name,
			filepath.Join(disk, "etc/systemd/system/multi-user.target.wants", name)))
	}
	return disk
}

func write(t *testing.T, disk, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(disk, name), []byte(text), 0o644))
}

// debug is the word of a profile whose root is writable until the next boot.
const debug = "systemd.volatile=overlay"

// seal makes a raw disk whose root has the folder's files, with more words on
// the kernel's command line. What is left out is named by paths in the folder.
func seal(t *testing.T, folder string, words []string, without ...string) string {
	t.Helper()
	for _, program := range []string{"mksquashfs", "unsquashfs"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("a root needs %s, which is not installed: see `go tool mage doctor -family=node`", program)
		}
	}
	squash := filepath.Join(t.TempDir(), "root.squashfs")
	run(t, append([]string{"mksquashfs", folder, squash, "-noappend", "-quiet", "-no-progress", "-noI", "-noD", "-noF",
		"-e"}, append(without, "proc/*", "sys/*")...)...)
	root, err := os.ReadFile(squash)
	require.NoError(t, err)
	disk := squash + ".raw"
	require.NoError(t, disktest.Make(disktest.Spec{Words: words, Root: root}).WriteFile(disk))
	return disk
}

// opened is what a disk boots.
func opened(t *testing.T, disk string) *measuredboot.Boot {
	t.Helper()
	f, err := os.Open(disk)
	require.NoError(t, err)
	defer f.Close()
	info, err := f.Stat()
	require.NoError(t, err)
	d, err := measuredboot.Open(f, info.Size())
	require.NoError(t, err)
	return d.Boot()
}

// node is a raw disk of the debug profile with the guest and the units.
func node(t *testing.T, units map[string]string) string {
	t.Helper()
	return seal(t, newDisk(t, units), []string{debug})
}

// boot starts a confidential machine that has a metadata server.
func boot(t *testing.T, h *chroot.Host, disk string) (*chroot.Machine, *serial, <-chan report) {
	t.Helper()
	reports := make(chan report, 1)
	server := httptest.NewServer(metadata(t, reports))
	t.Cleanup(server.Close)
	s := newSerial()
	m, err := h.Boot(t.Context(), chroot.Spec{Name: "node", Disk: disk, Confidential: true, Serial: s,
		Metadata: strings.TrimPrefix(server.URL, "http://")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Stop()) })
	return m, s, reports
}

// report is the guest's own.
type report struct {
	Nonce, Hostname, Proxy, Certificate, Extra string
	Quote, Log                                 []byte
	UID                                        int
	Groups                                     []int
	Writable                                   map[string]bool
	Found                                      []string
	Processes                                  int
}

const nonce = "00112233"

func metadata(t *testing.T, reports chan<- report) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /computeMetadata/v1/instance/attributes/mero-nonce", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Metadata-Flavor") == "Google" {
			_, _ = io.WriteString(w, nonce)
		}
	})
	mux.HandleFunc("PUT /computeMetadata/v1/instance/guest-attributes/mero/report",
		func(_ http.ResponseWriter, r *http.Request) {
			var got report
			if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
				t.Error(err)
			}
			reports <- got
		})
	return mux
}

// received waits for what the guest reports.
func received(t *testing.T, s *serial, reports <-chan report) report {
	t.Helper()
	select {
	case r := <-reports:
		return r
	case <-time.After(hang.Limit(t)):
		t.Fatalf("no report:\n%s", s)
		return report{}
	}
}

// serial keeps what a machine says and lets a test wait for it.
type serial struct {
	mu   sync.Mutex
	text strings.Builder
	news chan struct{}
}

func newSerial() *serial { return &serial{news: make(chan struct{}, 1)} }

func (s *serial) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.news <- struct{}{}:
	default:
	}
	return s.text.Write(p)
}

func (s *serial) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// wait returns when the machine has said text.
func (s *serial) wait(t *testing.T, text string) {
	t.Helper()
	deadline := time.After(hang.Limit(t))
	for !strings.Contains(s.String(), text) {
		select {
		case <-s.news:
		case <-deadline:
			t.Fatalf("the machine did not say %q:\n%s", text, s)
		}
	}
}
