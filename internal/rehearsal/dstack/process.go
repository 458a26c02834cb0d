package dstack

import (
	"context"
	"fmt"
	"net"
	"os"
	"path"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// entryPoint is an application's program, ready to run.
type entryPoint struct {
	root     string // its root file system
	args     []string
	env      []string
	dir      string
	uid, gid int
}

// entryPoint combines the image's configuration, the compose file's overrides,
// and what the platform adds; nothing of the host's environment.
func (c *cvm) entryPoint(root string, image v1.Config) (*entryPoint, error) {
	s := c.app.service
	entrypoint, command, user := image.Entrypoint, image.Cmd, image.User
	if len(s.Entrypoint) > 0 {
		entrypoint, command = s.Entrypoint, nil
	}
	if len(s.Command) > 0 {
		command = s.Command
	}
	if s.User != "" {
		user = s.User
	}
	p := &entryPoint{root: root, args: append(append([]string{}, entrypoint...), command...), dir: path.Join("/", image.WorkingDir)}
	if len(p.args) == 0 || !path.IsAbs(p.args[0]) {
		return nil, fmt.Errorf("entry point %q is not an absolute path", p.args)
	}
	var err error
	if p.uid, p.gid, err = parseUser(user); err != nil {
		return nil, err
	}
	proxy := c.options.Proxy.URL
	p.env = append(append(p.env, image.Env...), c.app.environment()...)
	p.env = append(p.env, "HTTPS_PROXY="+proxy, "HTTP_PROXY="+proxy, "SSL_CERT_FILE="+certificateFile, "LISTEN_FDS=1")
	return p, nil
}

// parseUser reads "uid" or "uid:gid"; an image without a user runs as root.
func parseUser(user string) (uid, gid int, err error) {
	if user == "" {
		return 0, 0, nil
	}
	first, second, both := strings.Cut(user, ":")
	if !both {
		second = "0"
	}
	if uid, err = strconv.Atoi(first); err == nil {
		gid, err = strconv.Atoi(second)
	}
	if err != nil || uid < 0 || gid < 0 {
		return 0, 0, fmt.Errorf("user %q is not numeric: an image from scratch has no /etc/passwd", user)
	}
	return uid, gid, nil
}

// run starts the process with a loopback listener as descriptor 3 (systemd's
// socket activation), reports the listener's address, and waits for its end.
func (p *entryPoint) run(ctx context.Context, log *os.File, started func(address string)) error {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close() //nolint:errcheck // closed below, once the child has its own
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // closed below, once the child has its own
	return p.exec(ctx, f, log, func() {
		// Only the child holds the port now: when it ends, connections are refused.
		_, _ = f.Close(), l.Close()
		started(l.Addr().String())
	})
}
