package dstack

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/kms/image"
)

// certificateFile is where the application finds the roots it trusts.
const certificateFile = "/run/platform/ca.pem"

// writeCertificate adds the platform's roots to the application's root file
// system. os.Root follows no symbolic link out of it.
func writeCertificate(root *os.Root, certificate []byte) error {
	name := strings.TrimPrefix(certificateFile, "/")
	if err := image.Folder(root, path.Dir(name)); err != nil {
		return err
	}
	if err := root.WriteFile(name, certificate, 0o644); err != nil {
		return err
	}
	return root.Chmod(name, 0o644) // whatever the umask
}

// serveAgent serves the guest agent on the Unix socket at name, inside root.
// The socket is bound through the folder's descriptor: its full path may be
// longer than the 108 bytes a Unix address holds.
func serveAgent(root *os.Root, name string, h http.Handler) (io.Closer, error) {
	if name == "" {
		return closer(func() error { return nil }), nil
	}
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if err := image.Folder(root, path.Dir(name)); err != nil {
		return nil, err
	}
	dir, err := root.Open(path.Dir(name))
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), path.Base(name)))
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	// Any user may connect: the container's is not the one who bound it.
	if err := root.Chmod(name, 0o666); err != nil {
		return nil, errors.Join(err, l.Close(), dir.Close())
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	stopped := make(chan error, 1)
	go func() { stopped <- s.Serve(l) }()
	return closer(func() error {
		err := s.Close()
		if served := <-stopped; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return errors.Join(err, dir.Close())
	}), nil
}

type closer func() error

func (c closer) Close() error { return c() }
