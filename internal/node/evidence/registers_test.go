package evidence_test

import (
	"bytes"
	"crypto/sha512"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot"
	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot/disktest"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/node/evidence"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/node/packer"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/inprocess"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
	"github.com/calimero-network/mero-tee/internal/release"
)

var update = flag.Bool("update", false, "write the golden files anew")

// roleFile is one that a role of the profiles with SSH installs.
const roleFile = "/etc/ssh/sshd_config.d/mero.conf"

// built is the record of an image whose SSH, where the profile has it, is configured so.
func built(t *testing.T, p release.Profile, config string) *image.Record {
	t.Helper()
	r := inprocess.Image{Version: release.Version{Minor: 1}, Profile: p}.Record(strings.Repeat("a", 40))
	if p != release.LockedReadOnly {
		r.Files = append(r.Files, image.File{Path: roleFile, Mode: "0644", Owner: "0:0", SHA256: digest.Of([]byte(config))})
		slices.SortFunc(r.Files, func(a, b image.File) int { return strings.Compare(a.Path, b.Path) })
	}
	rebooted(t, r)
	return r
}

// rebooted gives a record the boot of a disk whose root follows from its files.
func rebooted(t *testing.T, r *image.Record) {
	t.Helper()
	r.Content = digest.Of(r.Manifest())
	disk := disktest.Make(disktest.Spec{Profile: string(r.Profile), Content: r.Content.Hex(), Root: r.Manifest()})
	read, err := measuredboot.Open(disk.Reader(), int64(len(disk)))
	require.NoError(t, err)
	r.Boot = *read.Boot()
}

// bootOf boots the recorded image.
func bootOf(t *testing.T, r *image.Record) *evidence.Observation {
	t.Helper()
	pki, err := tdxsim.NewPKI([]byte(strings.Repeat("r", 32)))
	require.NoError(t, err)
	platform, err := pki.NewPlatform(0)
	require.NoError(t, err)
	td := platform.NewTD(tdx.Register(sha512.Sum384([]byte("firmware"))))
	log := tdxsim.NewEventLog(td)
	require.NoError(t, log.Measure(0, 0xd, []byte("VM shape")))
	for _, e := range r.Boot.Log() {
		require.NoError(t, log.Add(e))
	}
	require.NoError(t, td.Extend(3, sha512.Sum384([]byte(r.Profile))))
	quote, err := td.Quote(4, [64]byte{})
	require.NoError(t, err)
	return &evidence.Observation{Report: &agent.Report{Profile: r.Profile, Quote: quote, EventLog: log.CCEL()},
		Verdict: &tdx.Verdict{TCB: tdx.UpToDate}}
}

// stage writes what a release publishes of each profile.
func stage(t *testing.T, records ...*image.Record) string {
	t.Helper()
	dir := t.TempDir()
	for _, r := range records {
		data, err := r.Encode()
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, release.RecordAsset(r.Profile)), data, 0o600))
		e := &evidence.Evidence{SchemaVersion: evidence.SchemaVersion, Profile: r.Profile, Image: r.Image.Name,
			Collateral: evidence.Collateral{{URL: "https://certificates.test/root.der", Body: []byte("a list")}}}
		for i := range 3 {
			b, err := bootOf(t, r).Record(nil)
			require.NoError(t, err)
			b.Nonce, b.Reboot = fmt.Sprint(i), i == 2
			e.Boots = append(e.Boots, b)
		}
		data, err = e.Encode()
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, release.EvidenceAsset(r.Profile)), data, 0o600))
	}
	return dir
}

func measured(t *testing.T, name string, records ...*image.Record) *evidence.Release {
	t.Helper()
	s, err := evidence.ReadRelease(name, stage(t, records...))
	require.NoError(t, err)
	return s
}

func diff(t *testing.T, from, to *evidence.Release) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, evidence.WriteDiff(&b, from, to))
	return b.String()
}

func all(t *testing.T, config string) []*image.Record {
	t.Helper()
	var out []*image.Record
	for _, p := range release.Profiles() {
		out = append(out, built(t, p, config))
	}
	return out
}

// Changing one file in a role and building again moves RTMR1 and RTMR2 of exactly
// the profiles that contain it, and the diff names the file and its way there.
func TestOneFileChanged(t *testing.T) {
	t.Parallel()
	got := diff(t, measured(t, "mero-tee-v0.1.0", all(t, "PermitRootLogin no\n")...),
		measured(t, "the working tree", all(t, "PermitRootLogin yes\n")...))
	golden := filepath.Join("testdata", "one-file.golden")
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(got), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
	require.Contains(t, got, "locked-read-only: no register moved\n")
	require.Equal(t, 4, strings.Count(got, "moved (owner:"))
	for _, p := range []release.Profile{release.Debug, release.DebugReadOnly} {
		require.Contains(t, got, string(p)+": RTMR1 moved")
		require.Contains(t, got, string(p)+": RTMR2 moved")
	}
	require.Equal(t, 2, strings.Count(got, "  event  .cmdline, digest "))
	require.Equal(t, 2, strings.Count(got, "  event  UKI, Authenticode, digest "))
	require.Equal(t, 2, strings.Count(got, "  root hash  root: "))
	require.Equal(t, 2, strings.Count(got, "  file  "+roleFile+": "))
	require.Equal(t, 2, strings.Count(got, " (in the root, by its hash: RTMR1 and RTMR2)\n"))
}

// Names of files are the image's words: they draw nothing, and command nobody.
func TestNamesOfFilesAreText(t *testing.T) {
	t.Parallel()
	with := func(path string) *image.Record {
		r := built(t, release.Debug, "a")
		r.Files = append(r.Files, image.File{Path: path, Mode: "0644", Owner: "0:0", SHA256: digest.Of(nil)})
		slices.SortFunc(r.Files, func(a, b image.File) int { return strings.Compare(a.Path, b.Path) })
		rebooted(t, r)
		return r
	}
	text := diff(t, measured(t, "a", with("/etc/\u009b2J")), measured(t, "b", with("/etc/x\u202e##[error]y")))
	require.Contains(t, text, `  file  /etc/\u009b2J is gone`)
	require.Contains(t, text, `  file  /etc/x\u202e#\#[error]y is new`)
}

func TestNothingChanged(t *testing.T) {
	t.Parallel()
	got := diff(t, measured(t, "a", all(t, "x")...), measured(t, "b", all(t, "x")...))
	require.Equal(t,
		"a to b\ndebug: no register moved\ndebug-read-only: no register moved\nlocked-read-only: no register moved\n", got)
}

// A file that appears or goes is said in words, and so is a profile of one side only.
func TestOneSideOnly(t *testing.T) {
	t.Parallel()
	debug := built(t, release.Debug, "x")
	bare := built(t, release.Debug, "x")
	bare.Files = slices.DeleteFunc(bare.Files, func(f image.File) bool { return f.Path == roleFile })
	rebooted(t, bare)
	without, with := measured(t, "without", bare), measured(t, "with", debug, built(t, release.LockedReadOnly, ""))
	require.Contains(t, diff(t, without, with), "  file  "+roleFile+" is new: 0644 0:0 ")
	require.Contains(t, diff(t, without, with), "locked-read-only: measured in one of the two only\n")
	require.NotContains(t, diff(t, without, with), "debug-read-only", "measured in neither")
	require.Contains(t, diff(t, with, without), "  file  "+roleFile+" is gone, was 0644 0:0 ")
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	_, err := evidence.ReadRelease("nothing", t.TempDir())
	require.Equal(t, fault.MissingAsset, fault.CodeOf(err))
	require.ErrorContains(t, err, "nothing holds no measured image")
	for name, asset := range map[string]string{"evidence": release.EvidenceAsset(release.Debug),
		"record": release.RecordAsset(release.Debug)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := stage(t, built(t, release.Debug, "x"))
			require.NoError(t, os.WriteFile(filepath.Join(dir, asset), []byte("{}"), 0o600))
			_, err := evidence.ReadRelease("damaged", dir)
			require.Equal(t, fault.Verification, fault.CodeOf(err))
		})
	}
}

// The same of the sources: a file of the ssh role counts for the two profiles with SSH.
func TestContentFollowsTheRole(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, dir := range []string{"packer", "ansible"} {
		require.NoError(t, os.CopyFS(filepath.Join(root, dir), os.DirFS(filepath.Join("..", "..", "..", dir))))
	}
	before := contents(t, root)
	require.NoError(t, os.WriteFile(filepath.Join(root, "ansible/roles/ssh/one-more"), nil, 0o600))
	after := contents(t, root)
	for p, moved := range map[release.Profile]bool{release.Debug: true, release.DebugReadOnly: true,
		release.LockedReadOnly: false} {
		require.Equal(t, moved, before[p] != after[p], p)
	}
}

func contents(t *testing.T, root string) map[release.Profile]string {
	t.Helper()
	out := map[release.Profile]string{}
	for _, p := range release.Profiles() {
		profile, err := packer.ReadProfile(root, p)
		require.NoError(t, err)
		var companions []packer.Pin
		for _, name := range profile.Companions {
			companions = append(companions, packer.Pin{Name: name})
		}
		out[p], err = packer.Inputs{Root: root, Profile: p, Companions: companions}.ContentID()
		require.NoError(t, err)
	}
	return out
}
