package chroot_test

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot"
)

// lasting is an enabled service of the guest that is not waited for.
func lasting(settings, service, do string) string {
	return "[Unit]\n" + settings + "\n[Service]\n" + service + "\nExecStart=/usr/lib/mero/mero-agent " + do +
		"\n[Install]\nWantedBy=multi-user.target\n"
}

// bootAt starts a confidential machine with an address of its own.
func bootAt(t *testing.T, h *chroot.Host, address string, services map[string]string) (*chroot.Machine, *serial) {
	t.Helper()
	s := newSerial()
	m, err := h.Boot(t.Context(), chroot.Spec{Name: "node", Disk: node(t, services), Confidential: true, Serial: s,
		Address: address})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Stop()) })
	return m, s
}

// Two machines serve on the same port, each at its address; a service is its
// unit's own user, with its own state, and ends with its machine.
func TestServicesThatLast(t *testing.T) {
	t.Parallel()
	h := newHost(t, chroot.Faults{})
	services := map[string]string{
		"web.service": lasting("", "User=web\nDynamicUser=yes\nStateDirectory=web\nStateDirectoryMode=0700\nLimitCORE=0",
			"serve"),
		"z.service": unit("Requires=web.service\nAfter=web.service", "say z runs"),
	}
	var last string
	for _, address := range []string{"127.4.1.1", "127.4.1.2"} {
		m, s := bootAt(t, h, address, services)
		s.wait(t, "[  OK  ] Finished z.service.")
		s.wait(t, "serving")
		require.Contains(t, s.String(), "[  OK  ] Started web.service.\n")
		resp, err := http.Get("http://" + net.JoinHostPort(address, "10080"))
		require.NoError(t, err)
		said, err := io.ReadAll(resp.Body)
		require.NoError(t, resp.Body.Close())
		require.NoError(t, err)
		words := strings.Fields(string(said))
		require.Equal(t, []string{"web", "/var/lib/web", "-rwx------"}, words[1:])
		uid, err := strconv.Atoi(words[0])
		require.NoError(t, err)
		require.True(t, uid >= 61184 && uid <= 65519, "%d: systemd's range of dynamic users", uid)
		if last != "" {
			require.Equal(t, last, words[0], "the same at every boot")
		}
		last = words[0]
		if address == "127.4.1.2" {
			require.NoError(t, m.Stop())
			_, err = net.Dial("tcp4", net.JoinHostPort(address, "10080"))
			require.Error(t, err, "it ends with the machine")
		}
	}
}

// A service that ends is said on the serial port, in systemd's words; one whose
// condition is not met is no failure.
func TestServicesThatEnd(t *testing.T) {
	t.Parallel()
	_, s := bootAt(t, newHost(t, chroot.Faults{}), "127.4.1.3", map[string]string{
		"fails.service":   lasting("", "", "fail"),
		"ends.service":    lasting("", "Type=exec", "say well"),
		"skipped.service": lasting("ConditionPathExists=/etc/none", "", "say skipped runs"),
		"there.service":   lasting("ConditionPathExists=/etc/passwd", "EnvironmentFile=-/etc/none", "say there runs"),
		"after.service":   lasting("Requires=skipped.service\nAfter=skipped.service", "", "say after runs"),
		"env.service":     lasting("", "EnvironmentFile=-/etc/passwd", "say env runs"),
		"two.service":     lasting("", "ExecStart=/usr/lib/mero/mero-agent say one", "say two runs"),
		"needs.service":   unit("Requires=env.service\nAfter=env.service", "say needs runs"),
		"z.service":       unit("After=fails.service needs.service after.service", "say the end"),
	})
	for _, want := range []string{
		"guest: told to fail\n", "fails.service: Main process exited, code=exited, status=1\n",
		"fails.service: Failed with result 'exit-code'.\n",
		"[  OK  ] Started ends.service.\n", "well\n", "ends.service: Deactivated successfully.\n",
		"skipped.service was skipped because of an unmet condition check (ConditionPathExists=/etc/none).\n",
		"there runs\n", "after runs\n",
		"[FAILED] Failed to start env.service: EnvironmentFile=/etc/passwd is not supported here\n",
		"[FAILED] Failed to start needs.service: it requires env.service\n",
		"[FAILED] Failed to start two.service: more than one ExecStart= setting",
		"[  OK  ] Finished z.service.\n",
	} {
		s.wait(t, want)
	}
	for _, no := range []string{"skipped runs", "env runs", "two runs", "needs runs"} {
		require.NotContains(t, s.String(), no)
	}
}

// Nothing is written to the disk: the state of a service is gone with the machine's memory.
func TestStateIsInMemory(t *testing.T) {
	t.Parallel()
	h := newHost(t, chroot.Faults{})
	folder := newDisk(t, map[string]string{"web.service": lasting("", "DynamicUser=yes\nStateDirectory=web", "serve")})
	write(t, folder, "etc/fstab", "tmpfs /var tmpfs nosuid,nodev,mode=0755 0 0\n")
	disk := seal(t, folder, nil)
	before := sum(t, disk)
	for range 2 {
		s := newSerial()
		m, err := h.Boot(t.Context(), chroot.Spec{Name: "node", Disk: disk, Confidential: true, Serial: s,
			Address: "127.4.1.4"})
		require.NoError(t, err)
		s.wait(t, "serving")
		require.NoError(t, m.Stop())
	}
	require.Equal(t, before, sum(t, disk))
}
