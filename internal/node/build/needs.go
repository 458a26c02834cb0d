package build

import (
	"os/exec"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// needs are the programs of this machine that Packer starts, and Debian's packages of them.
var needs = []struct{ program, pkg string }{{"ansible-playbook", "ansible-core"}, {"ssh", "openssh-client"}}

// ready names what is missing, before a VM is started for nothing.
func (b *Builder) ready() error {
	find := b.o.Find
	if find == nil {
		find = exec.LookPath
	}
	var missing, packages []string
	for _, n := range needs {
		if _, err := find(n.program); err != nil {
			missing, packages = append(missing, n.program), append(packages, n.pkg)
		}
	}
	if missing == nil {
		return nil
	}
	return &fault.Error{Code: fault.General, Message: "Packer needs programs that are not installed", Expected: "ansible-playbook and ssh",
		Got: "no " + strings.Join(missing, ", no "), Hint: "apt-get install " + strings.Join(packages, " ") + "; `go tool mage doctor -family=node` names all that a node release needs"}
}
