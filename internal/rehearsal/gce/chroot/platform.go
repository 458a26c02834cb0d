package chroot

import (
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"

	"github.com/calimero-network/mero-tee/internal/attestation/tsm"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

// What the platform gives the machine is in /run/platform.
const (
	certificateFile = "/run/platform/ca.pem"
	tsmSocket       = "/run/platform/tsm.sock"
)

// eventLog is below /sys.
const eventLog = "firmware/acpi/tables/data/CCEL"

// writeFiles writes what the mount script lays over the root file system.
func (m *Machine) writeFiles() error {
	for _, dir := range []string{"root", "sys", "run", "etc", "memory"} {
		if err := os.MkdirAll(filepath.Join(m.dir, dir), 0o755); err != nil {
			return err
		}
	}
	names, err := os.ReadFile("/etc/resolv.conf")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for name, contents := range map[string][]byte{
		"etc/resolv.conf": names,
		"etc/hosts":       []byte(m.hosts()),
		"run/ca.pem":      m.host.options.Proxy.CertificatePEM,
	} {
		if err := file.Write(filepath.Join(m.dir, name), contents, 0o644); err != nil {
			return err
		}
	}
	return os.Chmod(m.dir, 0o755)
}

// hosts knows the machine's own name and its metadata server's.
func (m *Machine) hosts() string {
	out := "127.0.0.1 localhost\n127.0.1.1 " + m.spec.Name + "\n"
	if m.spec.Address != "" {
		out += m.spec.Address + " metadata.google.internal metadata\n"
	}
	return out
}

// serveTSM puts the TD behind the machine's socket, until the machine has
// ended. A service that is not root's may ask for a quote. Registers are shown
// where the image's own kernel would show them.
func (m *Machine) serveTSM(td *tdxsim.TD, rootFolder string) error {
	client := tdxsim.TSM(td, 4)
	if err := inDisk(rootFolder, showsRegisters); err != nil {
		m.say("tdx_guest: %v", err)
		client = unregistered{client}
	}
	folder, err := os.Open(filepath.Join(m.dir, "run"))
	if err != nil {
		return err
	}
	defer folder.Close()
	l, err := network.ListenUnix(folder, filepath.Base(tsmSocket))
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- tsm.Serve(l, client) }()
	m.afterwards(func() error { return errors.Join(l.Close(), <-served) })
	return nil
}

// serveMetadata puts the metadata server at metadata.google.internal, port 80,
// for programs that do not know GCE_METADATA_HOST. Without root there is no
// port 80 on most machines: that is said, and no more.
func (m *Machine) serveMetadata() {
	if m.spec.Metadata == "" || m.spec.Address == "" {
		return
	}
	l, err := net.Listen("tcp4", net.JoinHostPort(m.spec.Address, "80"))
	if err != nil {
		m.say("metadata.google.internal does not answer: %v", err)
		return
	}
	to := &url.URL{Scheme: "http", Host: m.spec.Metadata}
	transport := &http.Transport{} // no proxy of this machine's environment
	proxy := &httputil.ReverseProxy{FlushInterval: -1, Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	server := network.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		network.Forward(proxy, w, r)
	}))
	m.afterwards(func() error {
		defer transport.CloseIdleConnections()
		return server.Close()
	})
}
