package chroot

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// program is an outside program and the Debian package that has it.
type program struct{ name, pkg string }

// namespaces are made by these.
func forNamespaces() []program {
	out := []program{{"unshare", "util-linux"}, {"mount", "mount"}, {"sh", "dash"}, {"chroot", "coreutils"}, {"env", "coreutils"}}
	if os.Geteuid() != 0 {
		out = append(out, program{"newuidmap", "uidmap"}, program{"newgidmap", "uidmap"})
	}
	return out
}

// newRunner looks whether this machine can start what the package needs, before anything is.
func newRunner(ctx context.Context, needed ...program) (*runner, error) {
	if !supported {
		return nil, &fault.Error{Code: fault.General, Message: "the rehearsal's VMs run on Linux, and this is " + runtime.GOOS}
	}
	if err := look(append(forNamespaces(), needed...)); err != nil {
		return nil, err
	}
	r := &runner{}
	if os.Geteuid() != 0 {
		r.user = []string{"--user", "--map-root-user", "--map-auto"}
	}
	return r, r.probe(ctx)
}

// look finds every program or names the packages to install.
func look(needed []program) error {
	var missing, packages []string
	for _, p := range needed {
		if !filepath.IsAbs(find(p.name)) {
			missing, packages = append(missing, p.name), append(packages, p.pkg)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return &fault.Error{Code: fault.General, Message: "the rehearsal's VMs need " + strings.Join(missing, ", "),
		Expected: "in " + searchPath, Hint: "apt-get install " + strings.Join(packages, " ")}
}

// probe makes the namespaces of a VM once, with another user in it and a mount.
func (r *runner) probe(ctx context.Context) error {
	err := finish(ctx, r.command(ctx, fences(), "sh", "-c", "mount -t proc proc /proc && exec chroot --userspec=65534:65534 / true"), nil)
	if err == nil {
		return nil
	}
	f := &fault.Error{Code: fault.General, Message: "this machine gives the rehearsal's VMs no namespaces", Err: err,
		Hint: "run as root on the machine itself, or in a container with CAP_SYS_ADMIN"}
	if os.Geteuid() != 0 {
		f.Hint = fmt.Sprintf("run as root; or give user %d ids of its own in /etc/subuid and /etc/subgid (usermod --add-subuids 100000-165535 "+
			"--add-subgids 100000-165535), allow user namespaces (sysctl kernel.apparmor_restrict_unprivileged_userns=0), "+
			"and have util-linux 2.38 or newer", os.Geteuid())
	}
	return f
}
