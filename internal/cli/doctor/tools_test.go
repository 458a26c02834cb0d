package doctor_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/cli/doctor"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// folder has stand-ins for all programs but those that are missing.
func folder(t *testing.T, missing ...string) []string {
	t.Helper()
	dir := t.TempDir()
	for name := range doctor.Programs() {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name),
			[]byte("#!/bin/sh\necho \"$0 version 1.2.3\" >&2\nexit 1\n"), 0o755))
	}
	for _, name := range missing {
		require.NoError(t, os.Remove(filepath.Join(dir, name)))
	}
	return []string{"relative", dir}
}

func installed(t *testing.T, where string, path []string, families ...release.Family) (string, check.Results) {
	t.Helper()
	results := doctor.Installed(t.Context(), &environment.Environment{
		Settings: environment.Settings{Config: &config.Config{Environment: where}}}, path, families...)
	var b bytes.Buffer
	doctor.Print(console.New(&b, false), results)
	return b.String(), results
}

// TestNothingIsLeftByWhatOutlivesAProgram: go ends before the process does that counts what it was asked for.
func TestNothingIsLeftByWhatOutlivesAProgram(t *testing.T) {
	t.Parallel()
	path := folder(t)
	said := filepath.Join(t.TempDir(), "said")
	require.NoError(t, syscall.Mkfifo(said, 0o600))
	answer, err := os.OpenFile(said, os.O_RDWR, 0) // both ends: whoever opens one of them waits for the other
	require.NoError(t, err)
	defer answer.Close()
	require.NoError(t, os.WriteFile(filepath.Join(path[1], "go"), fmt.Appendf(nil, `#!/bin/sh
(while [ -e "$HOME" ]; do :; done
mkdir -p "$XDG_CONFIG_HOME/go"
[ -e "$HOME" ] && echo there || echo gone) >%s 2>/dev/null &
echo version 1.2.3
`, said), 0o755))
	all, results := installed(t, config.Rehearsal, path, release.Families()...)
	require.NoError(t, results.Err())
	require.Contains(t, all, "[PASS] go 1.2.3\n")
	line, err := bufio.NewReader(answer).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "gone\n", line, "the home is not made again")
}

func TestTools(t *testing.T) {
	t.Parallel()
	said, results := installed(t, config.Rehearsal, folder(t), release.Families()...)
	require.NoError(t, results.Err())
	require.Len(t, results, len(doctor.Programs()))
	require.Contains(t, said, "[PASS] git 1.2.3\n", "a version on standard error and an exit code are a version")

	said, results = installed(t, config.Rehearsal,
		folder(t, "ansible-playbook", "mmdebstrap", "unsquashfs", "mksquashfs", "qemu-system-x86_64", "yamllint"),
		release.Families()...)
	require.Contains(t, said,
		"[WARN] qemu-system-x86_64: not installed (Debian: ovmf qemu-system-x86); `node:boot` is skipped\n")
	require.Error(t, results.Err())
	require.Contains(t, said, "[FAIL] ansible-playbook: not installed (Debian: ansible-core)\n")
	require.Contains(t, said, "[WARN] yamllint: not installed (Debian: yamllint); `mage lint` skips what it does\n"+
		"       Hint:     apt-get install ansible-core mmdebstrap ovmf qemu-system-x86 squashfs-tools yamllint\n",
		"one line installs everything")
	require.Equal(t, 1, bytes.Count([]byte(said), []byte("apt-get")))
}

func TestToolsThatNobodyNeeds(t *testing.T) {
	t.Parallel()
	path := folder(t, "mmdebstrap", "ansible-playbook", "ansible-lint")
	said, results := installed(t, config.Rehearsal, path, release.KMS)
	require.NoError(t, results.Err())
	require.Contains(t, said, "[INFO] mmdebstrap: not applicable: not installed, and not needed for this\n")
	said, results = installed(t, config.Production, path, release.Node)
	require.Contains(t, said, "[INFO] mmdebstrap: not applicable", "Google's machines are used")
	require.Equal(t, 1, results.Count(check.Failed), "Ansible is needed there, too")
	said, results = installed(t, config.Production, folder(t, "go", "git"), release.KMS)
	require.Contains(t, said, "[FAIL] go: not installed (https://go.dev/dl)\n")
	require.Equal(t, 2, results.Count(check.Failed))
}

// "Probes run side by side with a deadline each; one that hangs does not hang the doctor."
func TestAQuestionThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ends := make(chan struct{})
		defer close(ends)
		began := time.Now()
		results := doctor.Hang(t.Context(), time.Minute, ends)
		require.Less(t, time.Since(began), 2*time.Minute)
		var b bytes.Buffer
		doctor.Print(console.New(&b, false), results)
		require.Equal(t, "[FAIL] hangs: no answer within 1m0s\n       Hint:     look whether the network and the service "+
			"are up, and ask again\n"+
			"[PASS] answers\n[FAIL] heeds: context deadline exceeded\n", b.String())
	})
}
