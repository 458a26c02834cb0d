package chroot

import (
	"errors"
	"fmt"
	"os"
	"slices"

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
		"HTTPS_PROXY=" + proxy, "HTTP_PROXY=" + proxy, "NO_PROXY=metadata.google.internal", "SSL_CERT_FILE=" + certificateFile,
	}
}
