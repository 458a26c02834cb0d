package boot

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot"
	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot/disktest"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/boot/machine"
	"github.com/calimero-network/mero-tee/internal/release"
)

func testDisk(t *testing.T, profile string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "disk.raw")
	require.NoError(t, disktest.Make(disktest.Spec{Profile: profile}).WriteFile(name))
	return name
}

func testImage(t *testing.T) *image {
	t.Helper()
	d, err := open(testDisk(t, "locked-read-only"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = d.file.Close() })
	return d
}

func TestWhatIsNoDiskIsRefused(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	text := filepath.Join(folder, "text")
	require.NoError(t, os.WriteFile(text, []byte("no disk"), 0o600))
	for name, tc := range map[string]struct {
		disk    string
		profile release.Profile
		code    fault.Code
		want    string
	}{
		"none":            {filepath.Join(folder, "none"), "", fault.MissingAsset, "the disk does not exist"},
		"a folder":        {folder, "", fault.Verification, "not a disk"},
		"text":            {text, "", fault.Verification, "not a node's disk"},
		"another profile": {testDisk(t, "debug"), release.LockedReadOnly, fault.Verification, "of another profile"},
		"no profile":      {testDisk(t, "open"), "", fault.Verification, "names no profile"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := open(tc.disk)
			if err == nil {
				defer d.file.Close()
				_, err = d.checkProfile(tc.profile)
			}
			require.Equal(t, tc.code, fault.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

// asPredicted is what a TPM sees of a boot.
func asPredicted(b *measuredboot.Boot) []machine.Measurement {
	out := []machine.Measurement{{PCR: 0, Digest: tdx.Register{7}}, {PCR: 7, Digest: tdx.Register{8}}}
	for i, g := range groups(b) {
		for n, e := range g.events {
			pcr := []int{4, 11}[i]
			if e.Type == "EV_SEPARATOR" {
				pcr = 1 + n
			}
			out = append(out, machine.Measurement{PCR: pcr, Digest: e.Digest})
		}
	}
	return out
}

func TestMeasurementsAreComparedOneByOne(t *testing.T) {
	t.Parallel()
	b := testImage(t).boot
	require.NoError(t, moved(b, asPredicted(b)))
	for _, r := range predicted("measured", b, asPredicted(b)) {
		require.Equal(t, check.Passed, r.Status)
	}
	last := len(asPredicted(b)) - 1
	for name, tc := range map[string]struct {
		change func(m []machine.Measurement) []machine.Measurement
		want   string
	}{
		"another UKI": {func(m []machine.Measurement) []machine.Measurement {
			m[9].Digest[0] ^= 1
			return m
		}, "event 8 of PCR 2 to 6 is another"},
		"missing": {func(m []machine.Measurement) []machine.Measurement { return m[:last] },
			"event 12 of PCR 8 to 15 is missing"},
		"added": {func(m []machine.Measurement) []machine.Measurement {
			return append(m, machine.Measurement{PCR: 12, Digest: tdx.Register{1}})
		}, "event 13 of PCR 8 to 15 was not predicted"},
		"moved": {func(m []machine.Measurement) []machine.Measurement {
			m[last], m[last-1] = m[last-1], m[last]
			return m
		}, "is another"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := moved(b, tc.change(asPredicted(b)))
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, fault.Verification, fault.CodeOf(err))
		})
	}
	platformOnly := asPredicted(b)
	platformOnly[0].Digest[0] ^= 1
	require.NoError(t, moved(b, platformOnly), "PCR 0 is the platform's")
}

func TestExplain(t *testing.T) {
	t.Parallel()
	b := testImage(t).boot
	events := explain(b, append(asPredicted(b), machine.Measurement{PCR: 12}))
	require.Equal(t, "the platform's own", events[0].Words)
	require.False(t, events[0].Predicted)
	require.True(t, events[2].Predicted)
	require.False(t, events[len(events)-1].Predicted)
}

func TestJudgeInside(t *testing.T) {
	t.Parallel()
	const ro = release.DebugReadOnly
	good := func() *Inside {
		return &Inside{Units: []string{"mero-measure.service loaded failed failed Measure"},
			Mounts: []string{"/run tmpfs tmpfs rw", "/ /dev/mapper/root squashfs ro,relatime"},
			Waits:  []string{"mero-agent.service inactive", "merod.service inactive"}}
	}
	for name, tc := range map[string]struct {
		profile release.Profile
		change  func(in *Inside)
		failed  []bool
	}{
		"good": {ro, func(*Inside) {}, []bool{false, false, false}},
		"another unit": {ro, func(in *Inside) { in.Units = append(in.Units, "x.service loaded failed") },
			[]bool{true, false, false}},
		"the measurement succeeded": {ro, func(in *Inside) { in.Units = nil }, []bool{true, false, false}},
		"merod runs": {ro, func(in *Inside) { in.Waits[1] = "merod.service active" },
			[]bool{false, true, false}},
		"nobody waits":        {ro, func(in *Inside) { in.Waits = nil }, []bool{false, true, false}},
		"merod does not wait": {ro, func(in *Inside) { in.Waits = in.Waits[:1] }, []bool{false, true, false}},
		"writable": {ro, func(in *Inside) { in.Mounts[1] = "/ /dev/mapper/root squashfs rw" },
			[]bool{false, false, true}},
		"another root": {ro, func(in *Inside) { in.Mounts[1] = "/ /dev/nvme0n1p2 squashfs ro" },
			[]bool{false, false, true}},
		"no root":             {ro, func(in *Inside) { in.Mounts = nil }, []bool{false, false, true}},
		"no overlay in debug": {release.Debug, func(*Inside) {}, []bool{false, false, true}},
		"an overlay": {release.Debug, func(in *Inside) { in.Mounts[1] = "/ overlay overlay rw,lowerdir=/x" },
			[]bool{false, false, false}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &session{Request: Request{Profile: tc.profile}, report: &Report{Inside: good()}}
			tc.change(s.report.Inside)
			var failed []bool
			for _, r := range s.judgeInside() {
				failed = append(failed, !r.OK())
			}
			require.Equal(t, tc.failed, failed)
		})
	}
}

func TestAShellIsSeen(t *testing.T) {
	t.Parallel()
	require.Equal(t, "Press Enter for maintenance", shell("x\nPress Enter for maintenance\n"))
	require.Empty(t, shell("[  OK  ] Reached target Multi-User System.\n"))
}

func TestReport(t *testing.T) {
	t.Parallel()
	d := testImage(t)
	r := &Report{Profile: release.LockedReadOnly, Disk: "disk.raw", CommandLine: d.boot.CommandLine, Processor: "KVM",
		Events: explain(d.boot, asPredicted(d.boot))}
	r.add(check.Pass("one").Noting("a|b"), must("two", false, "this", "that"))
	r.Boots = []machineReport{{Name: released, Network: []string{"lease"}, Worked: 12.6}}
	folder := filepath.Join(t.TempDir(), "report")
	require.NoError(t, r.write(folder))
	text, err := os.ReadFile(filepath.Join(folder, "report.md"))
	require.NoError(t, err)
	for _, want := range []string{"| one | pass | a\\|b |", "| two | fail | expected: this; got: that |",
		"UKI, Authenticode", "Not seen: the profile has no way in", "| released |  | 13 | lease | 0 | 0 |"} {
		require.Contains(t, string(text), want)
	}
	data, err := os.ReadFile(filepath.Join(folder, "report.json"))
	require.NoError(t, err)
	require.True(t, json.Valid(data))
	require.EqualError(t, r.Err(), "locked-read-only: 1 of 2 checks failed")
	require.Equal(t, fault.Verification, fault.CodeOf(r.Err()))
	require.Error(t, (&Report{}).Err(), "no check is no success")
}

func TestWithoutTheProgramsItIsSkipped(t *testing.T) {
	t.Parallel()
	r := skipped(release.Debug, []string{"ovmf", "swtpm"})
	require.NoError(t, r.Results.Err())
	require.Equal(t, 1, r.Results.Count(check.Skipped))
	require.Contains(t, r.Results[0].Reason, "apt-get install ovmf swtpm")
}

func TestCredentialsFitTheirTables(t *testing.T) {
	t.Parallel()
	for name := range credentials() {
		require.NotContains(t, name, ",", "QEMU separates by it")
	}
	require.NotContains(t, hostCommand, hostRuns, "a printed command line is no run")
	for name, value := range credentials() {
		require.Equal(t, name == "tmpfiles.extra", strings.Contains(value, hostRuns), name)
	}
	require.NotContains(t, strings.Join(shells(), " "), hostRuns)
}

// What does not come in time is the disk's fault until somebody shows otherwise;
// everything else that goes wrong is no judgement.
func TestABootThatStopsIsAFailedCheck(t *testing.T) {
	t.Parallel()
	s := &session{report: &Report{}}
	require.NoError(t, s.judged(released, fmt.Errorf("released: %w", errNotYet)))
	require.Equal(t, 1, s.report.Results.Count(check.Failed))
	require.ErrorIs(t, s.judged(released, os.ErrPermission), os.ErrPermission)
}

func TestWhatIsMeasuredLater(t *testing.T) {
	t.Parallel()
	require.Equal(t, check.Passed, unexpected(nil).Status)
	require.Equal(t, check.Passed, unexpected([]machine.Measurement{{PCR: 10}}).Status)
	require.Equal(t, check.Failed, unexpected([]machine.Measurement{{PCR: 10}, {PCR: 11}}).Status)
}

// The control's disk says the opposite of what keeps the host out, and nothing else differs.
func TestTheControlsDisk(t *testing.T) {
	t.Parallel()
	d := testImage(t)
	other, err := d.open()
	require.NoError(t, err)
	before, after := make([]byte, d.size), make([]byte, d.size)
	_, err = d.file.ReadAt(before, 0)
	require.NoError(t, err)
	_, err = other.ReadAt(after, 0)
	require.NoError(t, err)
	_, err = measuredboot.Open(bytes.NewReader(after), d.size)
	require.ErrorContains(t, err, "efi", "no release has such a disk")
	want := strings.NewReplacer("efi=noruntime", "efi=runtime  ", "systemd.import_credentials=no",
		"systemd.import_credentials=on").Replace(d.boot.CommandLine)
	require.Equal(t, 1, bytes.Count(after, []byte(want)))
	changed := 0
	for i := range before {
		if before[i] != after[i] {
			changed++
		}
	}
	require.Equal(t, len("noruntime")+len("no"), changed)
	d.boot.CommandLine = "roothash="
	_, err = d.open()
	require.ErrorContains(t, err, "the command line keeps the host out")
	d.boot.CommandLine = "what is not on the disk"
	_, err = d.open()
	require.ErrorContains(t, err, "in one piece")
}

// A boot with another byte passes by its restart alone, and only after it has read
// the byte: what was in the machine's memory when it was saved shows nothing.
func TestHowABootWithAnotherByteEnds(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]end{
		"the boot stops and the machine restarts":               {"", false, true, true},
		"the machine restarts before it has asked for the byte": {"", false, true, false},
		"neither stops nor goes on":                             {"", false, false, true},
		"the node runs":                                         {"", true, true, true},
		"a way in: login:":                                      {"login:", true, true, true},
	} {
		require.Equal(t, want, e.words())
		require.Equal(t, e == end{restarted: true, asked: true}, e.words() == stopped)
	}
}

// Each branch changes a byte of what it says, and no two the same.
func TestTheBytesThatAreChanged(t *testing.T) {
	t.Parallel()
	s := &session{disk: testImage(t)}
	root, tree := s.disk.parts[1], s.disk.parts[2]
	magic, block := make([]byte, 4), make([]byte, blockSize)
	places := map[string]int64{}
	for _, b := range s.branches() {
		disk := machine.NewDisk(s.disk.file, s.disk.size)
		disk.FlipFirstRead(b.from, b.to, b.in)
		_, err := disk.ReadAt(magic, root.Start)
		require.NoError(t, err)
		require.Equal(t, b.name != otherSuperblock, string(magic) == "hsqs")
		for at := b.from / blockSize * blockSize; at < b.to; at += blockSize {
			_, err = disk.ReadAt(block, at)
			require.NoError(t, err)
		}
		require.Len(t, disk.Flipped(), 1, b.name)
		places[b.name] = disk.Flipped()[0]
	}
	require.Equal(t, root.Start, places[otherSuperblock])
	require.Equal(t, tree.Start+blockSize, places[otherTree], "the tree's own superblock is before it")
	require.Greater(t, places[otherRoot], root.Start)
	require.Less(t, places[otherRoot], root.End)
}
