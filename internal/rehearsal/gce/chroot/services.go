package chroot

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot/systemd"
)

// runServices runs one-shot services one after the other. Who requires one
// that failed does not run.
func (m *Machine) runServices(image *os.Root, services []*systemd.Service) error {
	failed := map[string]bool{}
	for _, s := range services {
		err := s.Err
		if i := slices.IndexFunc(s.Requires, func(name string) bool { return failed[name] }); err == nil && i >= 0 {
			err = fmt.Errorf("it requires %s", s.Requires[i])
		}
		if err == nil {
			err = m.runService(image, s)
		}
		switch {
		case errors.Is(err, errEnded):
			return err
		case err != nil:
			failed[s.Name] = true
			m.say("[FAILED] Failed to start %s: %v", s.Name, err)
		default:
			m.say("[  OK  ] Finished %s.", s.Name)
		}
	}
	return nil
}

// runService runs a service's commands; the first that fails fails it.
func (m *Machine) runService(image *os.Root, s *systemd.Service) error {
	env := m.environment()
	var as *account
	if s.User != "" && s.User != "root" {
		var err error
		if as, err = findAccount(image, s.User); err != nil {
			return err
		}
		env = append(env, as.environment()...)
	}
	env = append(env, s.Environment...)
	for _, command := range s.Commands {
		if err := m.init.run(m.inside(as, env, command...)...); err != nil {
			return fmt.Errorf("%s: %w", command[0], err)
		}
	}
	return nil
}

// environment is what the platform tells every service.
func (m *Machine) environment() []string {
	proxy := m.host.options.Proxy.URL
	return []string{
		guestPath, "LANG=C.UTF-8",
		"MERO_TSM_SOCKET=" + tsmSocket, "GCE_METADATA_HOST=" + m.spec.Metadata,
		"HTTPS_PROXY=" + proxy, "HTTP_PROXY=" + proxy, "NO_PROXY=metadata.google.internal",
		"SSL_CERT_FILE=" + certificateFile,
	}
}

// account is a user of an image, from its own /etc/passwd and /etc/group.
type account struct {
	name, home string
	uid, gid   uint64
	groups     []string // ids
}

const accountsSize = 1 << 20

func findAccount(image *os.Root, name string) (*account, error) {
	users, err := fields(image, "etc/passwd")
	if err != nil {
		return nil, err
	}
	groups, err := fields(image, "etc/group")
	if err != nil {
		return nil, err
	}
	for _, f := range users {
		if len(f) != 7 || f[0] != name {
			continue
		}
		a := &account{name: name, home: f[5]}
		if a.uid, err = strconv.ParseUint(f[2], 10, 32); err != nil {
			return nil, fmt.Errorf("/etc/passwd, %s: %w", name, err)
		}
		if a.gid, err = strconv.ParseUint(f[3], 10, 32); err != nil {
			return nil, fmt.Errorf("/etc/passwd, %s: %w", name, err)
		}
		a.groups = []string{f[3]} // initgroups(3) has the user's own too
		for _, g := range groups {
			if len(g) == 4 && slices.Contains(strings.Split(g[3], ","), name) {
				a.groups = append(a.groups, g[2])
			}
		}
		return a, nil
	}
	return nil, fmt.Errorf("the image has no user %q", name)
}

func fields(image *os.Root, name string) ([][]string, error) {
	text, err := readFile(image, name, accountsSize)
	if err != nil {
		return nil, err
	}
	var out [][]string
	for line := range strings.Lines(string(text)) {
		out = append(out, strings.Split(strings.TrimSpace(line), ":"))
	}
	return out, nil
}

// environment is what systemd.exec(5) sets for User=.
func (a *account) environment() []string {
	return []string{"HOME=" + a.home, "USER=" + a.name, "LOGNAME=" + a.name}
}

// chroot are the arguments of chroot(1) that make a program the account's.
func (a *account) chroot() []string {
	return []string{fmt.Sprintf("--userspec=%d:%d", a.uid, a.gid), "--groups=" + strings.Join(a.groups, ",")}
}
