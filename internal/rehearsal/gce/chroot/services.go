package chroot

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot/systemd"
)

// nodePort stands for port 80 of an instance: ports below 1024 are root's here.
const nodePort = "10080"

// runServices starts services one after the other, as their units say. A
// one-shot service is waited for. Who requires one that failed does not run.
func (m *Machine) runServices(image *os.Root, services []*systemd.Service) error {
	failed := map[string]bool{}
	for _, s := range services {
		err := s.Err
		if i := slices.IndexFunc(s.Requires, func(name string) bool { return failed[name] }); err == nil && i >= 0 {
			err = fmt.Errorf("it requires %s", s.Requires[i])
		}
		var unmet string
		if err == nil {
			unmet, err = condition(image, s)
		}
		if err == nil && unmet == "" {
			err = m.runService(image, s)
		}
		switch {
		case errors.Is(err, errEnded):
			return err
		case err != nil:
			failed[s.Name] = true
			m.say("[FAILED] Failed to start %s: %v", s.Name, err)
		case unmet != "":
			m.say("%s was skipped because of an unmet condition check (ConditionPathExists=%s).", s.Name, unmet)
		case s.Type == "oneshot":
			m.say("[  OK  ] Finished %s.", s.Name)
		default:
			m.say("[  OK  ] Started %s.", s.Name)
		}
	}
	return nil
}

// condition is the first path that is not there. A file with a service's
// environment is refused: what would be in it is not known.
func condition(image *os.Root, s *systemd.Service) (unmet string, err error) {
	there := func(name string) (bool, error) {
		_, err := image.Stat(strings.TrimPrefix(name, "/"))
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return err == nil, err
	}
	for _, name := range s.Conditions {
		if ok, err := there(name); !ok {
			return name, err
		}
	}
	for _, name := range s.EnvironmentFiles {
		if ok, err := there(name); ok || err != nil {
			return "", errors.Join(err, fmt.Errorf("EnvironmentFile=%s is not supported here", name))
		}
	}
	return "", nil
}

// runService runs a service's commands: those of a one-shot service to their
// end, where the first that fails fails it, and another's only command until it
// ends by itself or with the machine.
func (m *Machine) runService(image *os.Root, s *systemd.Service) error {
	env := m.environment()
	as, err := m.user(image, s)
	if err != nil {
		return err
	}
	if as != nil {
		env = append(env, as.environment()...)
	}
	if len(s.State) > 0 {
		env = append(env, "STATE_DIRECTORY="+strings.Join(stateFolders(s), ":"))
	}
	env = append(env, s.Environment...)
	if s.Type != "oneshot" {
		return m.init.serve(s.Name, m.inside(as, env, s.Commands[0]...)...)
	}
	for _, command := range s.Commands {
		if err := m.init.run(m.inside(as, env, command...)...); err != nil {
			return fmt.Errorf("%s: %w", command[0], err)
		}
	}
	return nil
}

// user is the account that a service runs as, nil for root, with the folders that are its own.
func (m *Machine) user(image *os.Root, s *systemd.Service) (as *account, err error) {
	switch {
	case s.DynamicUser:
		as = dynamic(cmp.Or(s.User, strings.TrimSuffix(s.Name, ".service")))
	case s.User != "" && s.User != "root":
		if as, err = findAccount(image, s.User); err != nil {
			return nil, err
		}
	}
	for _, folder := range stateFolders(s) {
		args := []string{find("install"), "-d", "-m", cmp.Or(s.StateMode, "0755")}
		if as != nil {
			args = append(args, fmt.Sprintf("--owner=%d", as.uid), fmt.Sprintf("--group=%d", as.gid))
		}
		if err := m.init.run(append(args, m.root()+folder)...); err != nil {
			return nil, fmt.Errorf("StateDirectory=: %w", err)
		}
	}
	return as, nil
}

func stateFolders(s *systemd.Service) []string {
	out := make([]string, 0, len(s.State))
	for _, name := range s.State {
		out = append(out, "/var/lib/"+name)
	}
	return out
}

// serve starts a program beside the others and says, as systemd does, how it ended.
func (p *initProcess) serve(unit string, args ...string) error {
	_, err := p.tell("{ " + command(args) + "; status=$?; if test $status = 0; then echo " +
		quote(unit+": Deactivated successfully.") + "; else echo " +
		quote(unit+": Main process exited, code=exited, status=") + `"$status"; echo ` +
		quote(unit+": Failed with result 'exit-code'.") + "; fi; } 3>&- & echo >&3")
	return err
}

// environment is what the platform tells every service.
func (m *Machine) environment() []string {
	proxy := m.host.options.Proxy.URL
	out := []string{
		guestPath, "LANG=C.UTF-8",
		"MERO_TSM_SOCKET=" + tsmSocket, "GCE_METADATA_HOST=" + m.spec.Metadata,
		"HTTPS_PROXY=" + proxy, "HTTP_PROXY=" + proxy, "NO_PROXY=metadata.google.internal",
		"SSL_CERT_FILE=" + certificateFile,
	}
	if m.spec.Address != "" { // instances share the network: each has its ports at its own address
		out = append(out, agent.NodeHostVariable+"="+net.JoinHostPort(m.spec.Address, nodePort))
	}
	return out
}

// account is a user of an image, from its own /etc/passwd and /etc/group.
type account struct {
	name, home string
	uid, gid   uint64
	groups     []string // ids
}

const accountsSize = 1 << 20

// Dynamic users have ids of this range: systemd's UIDS-GIDS.md.
const (
	dynamicFirst = 61184
	dynamicCount = 65519 - dynamicFirst + 1
)

// dynamic is the user that systemd would make for a service, the same for all of its name.
func dynamic(name string) *account {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	id := dynamicFirst + uint64(h.Sum32())%dynamicCount
	return &account{name: name, home: "/", uid: id, gid: id, groups: []string{strconv.FormatUint(id, 10)}}
}

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
