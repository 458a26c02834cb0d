package lint_test

import (
	"bytes"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/cli/lint"
)

const playbook = "---\n- name: Make an image\n  hosts: all\n  tasks:\n    - name: Say hello\n      ansible.builtin.debug:\n        msg: hello\n"

// playbooks is a repository with a playbook of this text.
func playbooks(t *testing.T, text string) string {
	return repository(t, map[string]string{"ansible/node.yml": text, "ansible/.ansible-lint": read(t, "../../../ansible/.ansible-lint"),
		"ansible/roles/base/tasks/main.yml": "---\n- name: Say hello\n  ansible.builtin.debug:\n    msg: hello\n"})
}

func TestAnsibleLint(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, lint.Run(t.Context(), playbooks(t, playbook), &out), out.String())
	if _, err := exec.LookPath("ansible-lint"); err != nil {
		require.Contains(t, out.String(), "[WARN] ansible-lint: skipped, it is not installed")
		return
	}
	require.Contains(t, out.String(), "[PASS] ansible-lint\n")

	out.Reset()
	err := lint.Run(t.Context(), playbooks(t, playbook+"    - shell: rm -rf /tmp/x\n"), &out)
	require.Equal(t, fault.Verification, fault.CodeOf(err))
	require.Regexp(t, `(?s)\[FAIL\] ansible-lint\n.*command-instead-of-shell`, out.String())
}

// A repository with a template and without the pins of Packer cannot be judged; that is no finding.
func TestPackerWithoutItsPins(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := lint.Run(t.Context(), repository(t, map[string]string{"packer/node.pkr.hcl": ""}), &out)
	require.ErrorContains(t, err, "packer: ")
	require.Equal(t, fault.General, fault.CodeOf(err))
	require.NotContains(t, out.String(), "[PASS] packer")
}
