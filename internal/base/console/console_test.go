package console

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

func TestFaultPrintsExpectedGotAndHint(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	New(&b, false).Fault(&fault.Error{Code: fault.Verification, Step: "kms:audit", Message: "checksum differs",
		Expected: "aa", Got: "bb", Hint: "download it again"})
	require.Equal(t,
		"[ERROR] kms:audit: checksum differs\n       Expected: aa\n       Got:      bb\n       Hint:     download it again\n",
		b.String())
}

func TestFaultReportsJoinedErrorsOneByOne(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	New(&b, false).Fault(errors.Join(errors.New("one"), &fault.Error{Message: "two", Hint: "h"}))
	require.Equal(t, "[ERROR] one\n[ERROR] two\n       Hint:     h\n", b.String())
}

func TestAnnotationsInActions(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	c := New(&b, true).For("kms:sign")
	c.Infof("fine")
	c.Warnf("50%% of\nlines")
	require.Equal(t, "[INFO] kms:sign: fine\n[WARN] kms:sign: 50% of\n     | lines\n"+
		"::warning::kms:sign: 50%25 of%0A     | lines\n",
		b.String())
}

func TestLiveLineIsRedrawnUnderNewLines(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	c := New(&b, false)
	clock := time.Unix(0, 0)
	p := &Progress{out: c.out, terminal: true, now: func() time.Time { return clock }, stop: make(chan struct{})}
	p.Begin("kms:sbom")
	p.Begin("kms:policy")
	clock = clock.Add(3 * time.Second)
	p.show()
	c.Infof("hello")
	p.End("kms:sbom")
	p.show()
	p.Close()
	require.Equal(t, "\r\x1b[Kkms:sbom 3 s, kms:policy 3 s"+
		"\r\x1b[K[INFO] hello\nkms:sbom 3 s, kms:policy 3 s"+
		"\r\x1b[Kkms:policy 3 s"+
		"\r\x1b[K", b.String())
}

func TestPathIsRelativeBelowTheWorkingDirectory(t *testing.T) {
	t.Parallel()
	dir, err := os.Getwd()
	require.NoError(t, err)
	require.Equal(t, filepath.Join("dist", "x"), Path(filepath.Join(dir, "dist", "x")))
	require.Equal(t, filepath.Dir(dir), Path(filepath.Dir(dir)))
}

func TestHeartbeatOffTerminal(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	c := New(&b, false)
	clock := time.Unix(0, 0)
	p := &Progress{out: c.out, now: func() time.Time { return clock }, stop: make(chan struct{})}
	p.show()
	p.Begin("node:build")
	p.show()
	require.Empty(t, b.String(), "silence when nothing runs, or not for long")
	clock = clock.Add(30 * time.Second)
	p.show()
	require.Equal(t, "[INFO] still running: node:build 30 s\n", b.String())
}

// Who waits is told after the first while, and then at every heartbeat since the
// beginning; who does not wait reads nothing.
func TestWhile(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		took, first time.Duration
		said        []time.Duration
	}{
		{time.Second, 2 * time.Second, nil},
		{3 * time.Second, 2 * time.Second, []time.Duration{2 * time.Second}},
		{25 * time.Second, 2 * time.Second, []time.Duration{2 * time.Second, Heartbeat, 2 * Heartbeat}},
		{25 * time.Second, Heartbeat, []time.Duration{Heartbeat, 2 * Heartbeat}},
	} {
		synctest.Test(t, func(t *testing.T) {
			var said []time.Duration
			While(func() { time.Sleep(tc.took) }, tc.first, func(took time.Duration) { said = append(said, took) })
			require.Equal(t, tc.said, said)
		})
	}
}
