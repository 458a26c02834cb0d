package noderelease_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/pipeline/releasetest"
	"github.com/calimero-network/mero-tee/internal/release"
)

// buildVariable makes this test binary a real build that kills itself.
const buildVariable = "MERO_TEST_BUILD"

// mishap ends a build with SIGKILL when it has said something.
type mishap struct {
	Root, Dist string
	Saying     string
}

// build is the child: Packer and Ansible build the debug image, until the mishap.
func build(order []byte) int {
	var m mishap
	if err := json.Unmarshal(order, &m); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx := context.Background() // who started it waits, and ends it if it hangs
	p, err := fixture.Begin(ctx, m.Root, m.Dist, stable, console.New(listener{m.Saying}, false))
	if err == nil {
		err = p.Run.PerformTarget(ctx, "node:build", string(release.Debug))
	}
	fmt.Fprintln(os.Stderr, "it did not happen:", err)
	return 1
}

// listener dies when it hears the words.
type listener struct{ words string }

func (l listener) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(l.words)) {
		releasetest.Die()
	}
	return os.Stderr.Write(b)
}

// needBuilds skips a test on a machine that cannot run Packer, Ansible and the VMs.
func needBuilds(t *testing.T) {
	t.Helper()
	releasetest.Long(t, "a build with Packer and Ansible")
	if os.Geteuid() != 0 {
		t.Skip("the build VMs want root")
	}
	for _, program := range []string{"ansible-playbook", "mmdebstrap", "sshd", "mksquashfs", "veritysetup"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("real builds need %s", program)
		}
	}
}

// One debug build with the real Packer and Ansible, killed at one moment after
// the other: each run cleans up after the one before it, and in the end the
// image is there once and nothing else.
func TestKilledWhileBuilding(t *testing.T) {
	t.Parallel()
	needBuilds(t)
	s := fixture.Stages(t)
	dist := releasetest.From(t, s.After(""))
	guarded(t, s.Root, dist)
	for _, moment := range []string{
		"Waiting for the instance to become running", // instances.insert is done
		"Ansible: base :",  // provisioning
		"Deleting disk...", // images.insert is done
		"files of its own", // the record is written
	} {
		start := time.Now()
		order, err := json.Marshal(mishap{s.Root, dist, moment})
		require.NoError(t, err)
		releasetest.Died(t, buildVariable+"="+string(order))
		endPacker(t, dist)
		releasetest.RequireNoProcess(t, dist)
		t.Logf("killed when it said %q, after %s", moment, time.Since(start).Round(time.Second))
	}
	log := &locked{}
	p, err := fixture.Begin(t.Context(), s.Root, dist, stable, console.New(log, false))
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Close()) }()
	require.NoError(t, p.Run.PerformTarget(t.Context(), "node:build", string(release.Debug)), "%s", log)
	requireOneImage(t, p, dist)
}

// endPacker ends the Packer of a build that was killed, as a loss of power does.
// It is asked by the kernel to remove its VM and end, and does so where the API
// still answers; here it died with the build, and Packer tries for minutes.
func endPacker(t *testing.T, dist string) {
	t.Helper()
	for pid, command := range releasetest.ProcessesOf(dist) {
		group, err := syscall.Getpgid(pid)
		if err == nil && strings.Contains(command, "/packer build ") {
			require.NotEqual(t, syscall.Getpgrp(), group)
			_ = syscall.Kill(-group, syscall.SIGKILL) // it may have ended meanwhile
		}
	}
}

// guarded lets the guards pass once.
func guarded(t *testing.T, root, dist string) {
	t.Helper()
	p, err := fixture.Begin(t.Context(), root, dist, stable, console.New(&locked{}, false))
	require.NoError(t, err)
	require.NoError(t, p.Run.PerformTarget(t.Context(), "node:version", ""))
	require.NoError(t, p.Close())
}

func requireOneImage(t *testing.T, p *releasetest.Process, dist string) {
	t.Helper()
	record, err := image.Decode([]byte(releasetest.Contents(t,
		releasetest.Staged(dist, stable))[release.RecordAsset(release.Debug)]))
	require.NoError(t, err)
	c, err := p.Env.Cloud(t.Context(), nil)
	require.NoError(t, err)
	left, err := c.Leftovers(t.Context())
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.Equal(t, record.Image.Name, left[0].Name)
	disk, err := os.ReadDir(dist + "/rehearsal/gce/disks")
	require.NoError(t, err)
	require.Empty(t, disk, "no disk, labelled or not")
}

// locked is a log that several goroutines write.
type locked struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
