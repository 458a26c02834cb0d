package measuredboot_test

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot"
	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot/disktest"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

func open(t testing.TB, d disktest.Image) (*measuredboot.Disk, error) {
	t.Helper()
	return measuredboot.Open(d.Reader(), int64(len(d)))
}

func opened(t testing.TB, s disktest.Spec) *measuredboot.Disk {
	t.Helper()
	d, err := open(t, disktest.Make(s))
	require.NoError(t, err)
	return d
}

func TestOpen(t *testing.T) {
	t.Parallel()
	s := disktest.Spec{Profile: "locked-read-only", Kernel: []byte("Linux"), Initrd: []byte("cpio!"), Root: []byte("hsqs")}
	d := opened(t, s)
	b := d.Boot()
	require.Equal(t, digest.Of([]byte("Linux")), b.Kernel)
	require.Equal(t, digest.Of([]byte("cpio!")), b.Initrd)
	require.Equal(t, s.CommandLine(b.RootHash), b.CommandLine)
	require.Equal(t, "ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"26.04\"\n", b.OSRelease)
	root := make([]byte, 4)
	_, err := d.Root().Read(root)
	require.NoError(t, err)
	require.Equal(t, "hsqs", string(root))
	require.Equal(t, []string{"Calling EFI Application from Boot Option", "separator", "partition table",
		"UKI, Authenticode", "Exit Boot Services Invocation", "Exit Boot Services Returned with Success"}, words(b.RTMR1))
	require.Equal(t, []string{".linux, name", ".linux", ".osrel, name", ".osrel", ".cmdline, name", ".cmdline",
		".initrd, name", ".initrd", ".sbat, name", ".sbat"}, words(b.RTMR2))
	require.Equal(t, []string{"LOADED_IMAGE::LoadOptions", "Linux initrd"}, words(b.KernelEvents))
	require.Equal(t, tdx.Register(sha512.Sum384([]byte("Linux"))), b.RTMR2[1].Digest)
	require.NoError(t, d.VerifyRoot(t.Context()))
}

func words(events []measuredboot.Event) (out []string) {
	for _, e := range events {
		out = append(out, e.Words)
	}
	return out
}

// What changes on a disk moves the registers, and no more than those.
func TestWhatMovesTheRegisters(t *testing.T) {
	t.Parallel()
	rtmr1, rtmr2 := opened(t, disktest.Spec{}).Boot().Registers()
	again1, again2 := opened(t, disktest.Spec{}).Boot().Registers()
	require.Equal(t, rtmr1, again1)
	require.Equal(t, rtmr2, again2)
	for name, s := range map[string]disktest.Spec{
		"kernel":     {Kernel: []byte("another kernel")},
		"initrd":     {Initrd: []byte("another initrd")},
		"os-release": {OSRelease: []byte("ID=other\n")},
		"root":       {Root: []byte("hsqs, another root")},
		"profile":    {Profile: "locked-read-only"},
		"words":      {Words: []string{"quiet"}},
	} {
		moved1, moved2 := opened(t, s).Boot().Registers()
		require.NotEqual(t, rtmr1, moved1, name)
		require.NotEqual(t, rtmr2, moved2, name)
	}
}

// Who reads the disk with another parser sees the same system, or nobody does.
func TestOSReleaseIsRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"two systems":  {"ID=debian\nID=ubuntu\n", "os-release in BOOTX64.EFI: line 2: ID is there twice"},
		"a command":    {"ID=$(id)\n", "os-release in BOOTX64.EFI: line 1: not an assignment of a plain value"},
		"other bytes":  {"ID=debian\nNAME=\"\xff\"\n", "os-release in BOOTX64.EFI: not UTF-8"},
		"no text":      {"\x00", "os-release in BOOTX64.EFI: line 1: a character that does not print"},
		"a whole book": {strings.Repeat("# a line\n", 5000), "os-release in BOOTX64.EFI: more than 16384 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := open(t, disktest.Make(disktest.Spec{OSRelease: []byte(tc.text)}))
			require.Equal(t, fault.Verification, fault.CodeOf(err))
			require.ErrorContains(t, err, tc.want)
		})
	}
}

// An image may have a table of certificates, which firmware does not measure.
func TestCertificatesAreNotMeasured(t *testing.T) {
	t.Parallel()
	plain := opened(t, disktest.Spec{}).Boot()
	d, err := open(t, withUKI(func(b []byte) []byte { return certified(b, 16) }))
	require.NoError(t, err)
	require.NotEqual(t, plain.UKI, d.Boot().UKI)
	require.Equal(t, plain.RTMR1, d.Boot().RTMR1)
}

func TestRecordedBoot(t *testing.T) {
	t.Parallel()
	b := opened(t, disktest.Spec{}).Boot()
	text, err := json.Marshal(b)
	require.NoError(t, err)
	var read measuredboot.Boot
	require.NoError(t, json.Unmarshal(text, &read))
	require.Equal(t, *b, read)
	require.NoError(t, read.Check())
	require.NoError(t, read.Judge(read.Log()))
	rtmr1, rtmr2 := read.Registers()
	require.Equal(t, rtmr1, tdx.Replay(read.Log(), 1))
	require.Equal(t, rtmr2, tdx.Replay(read.Log(), 2))
}

// Every payload of our log is one that the log's readers understand.
func TestLogIsDescribed(t *testing.T) {
	t.Parallel()
	for _, e := range opened(t, disktest.Spec{}).Boot().Log() {
		require.NotEqual(t, tdx.KindUnknown, e.Describe().Kind, "%+v", e)
	}
}

func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(opened(t, disktest.Spec{}).Boot())
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		change func(*measuredboot.Boot)
		want   string
	}{
		"no kernel":       {func(b *measuredboot.Boot) { b.Kernel = digest.Digest{} }, "without the digest of UKI"},
		"a way in":        {func(b *measuredboot.Boot) { b.CommandLine += " init=/bin/sh" }, "not known to be harmless"},
		"another root":    {func(b *measuredboot.Boot) { b.RootHash[0]++ }, "another root hash"},
		"no table":        {func(b *measuredboot.Boot) { b.GPT = nil }, "no partition table"},
		"another table":   {func(b *measuredboot.Boot) { b.GPT[60]++ }, "another event 3 of RTMR1"},
		"another type":    {func(b *measuredboot.Boot) { b.GPT[100]++ }, "partition 1 is another one"},
		"another root ID": {func(b *measuredboot.Boot) { b.GPT[100+128+16]++ }, "is not the disk's partition"},
		"more events": {func(b *measuredboot.Boot) {
			b.RTMR1 = append(b.RTMR1, b.RTMR1[0])
		}, "number of events of RTMR1"},
		"no UKI":          {func(b *measuredboot.Boot) { b.RTMR1[3].Digest = tdx.Register{} }, "another event 4 of RTMR1"},
		"other words":     {func(b *measuredboot.Boot) { b.RTMR1[1].Words = "nothing" }, "another event 2 of RTMR1"},
		"another type's":  {func(b *measuredboot.Boot) { b.RTMR2[0].Type = "EV_SEPARATOR" }, "another event 1 of RTMR2"},
		"another section": {func(b *measuredboot.Boot) { b.RTMR2[1].Words = ".ucode" }, "another event 2 of RTMR2"},
		"other text":      {func(b *measuredboot.Boot) { b.RTMR2[5].Digest[0]++ }, "another event 6 of RTMR2"},
		"another system":  {func(b *measuredboot.Boot) { b.OSRelease = "ID=other\n" }, "another event 4 of RTMR2"},
		"no system":       {func(b *measuredboot.Boot) { b.OSRelease = "" }, "another event 4 of RTMR2"},
		"two systems":     {func(b *measuredboot.Boot) { b.OSRelease += "ID=b\n" }, "line 4: ID is there twice"},
		"other options":   {func(b *measuredboot.Boot) { b.KernelEvents[0].Digest[0]++ }, "another event 1 of the kernel"},
		"no initrd": {func(b *measuredboot.Boot) {
			b.KernelEvents[1].Digest = tdx.Register{}
		}, "another event 2 of the kernel"},
	} {
		var b measuredboot.Boot
		require.NoError(t, json.Unmarshal(text, &b))
		tc.change(&b)
		require.ErrorContains(t, b.Check(), tc.want, name)
	}
}

func TestVerifyRootRefuses(t *testing.T) {
	t.Parallel()
	root := make([]byte, 300*4096) // two levels
	copy(root, "hsqs")
	tree, hash := disktest.Tree(root, []byte("salt"))
	uki := disktest.UKI(disktest.Spec{}.Sections(hash)...)
	esp := disktest.FAT(disktest.File{Path: "EFI/BOOT/BOOTX64.EFI", Content: uki})
	with := func(change func(root, tree []byte)) disktest.Image {
		changedRoot := append(bytes.Clone(root), make([]byte, 4096)...)
		changedTree := append(bytes.Clone(tree), make([]byte, 4096)...)
		change(changedRoot, changedTree)
		return disktest.Assemble(esp, changedRoot, changedTree)
	}
	for name, tc := range map[string]struct {
		change func(root, tree []byte)
		want   string
	}{
		"whole":             {func(_, _ []byte) {}, ""},
		"first block":       {func(root, _ []byte) { root[0]++ }, "block 0 of the root is not of its hash tree"},
		"last block":        {func(root, _ []byte) { root[300*4096-1]++ }, "block 299 of the root"},
		"behind the root":   {func(root, _ []byte) { root[300*4096]++ }, "the partition of the root has something behind"},
		"highest level":     {func(_, tree []byte) { tree[4096]++ }, "not of the command line's root hash"},
		"lowest level":      {func(_, tree []byte) { tree[2*4096]++ }, "block 0 of the hash tree's level 1"},
		"behind the levels": {func(_, tree []byte) { tree[len(tree)-1]++ }, "the partition of the hash tree has something"},
		"salt":              {func(_, tree []byte) { tree[88]++ }, "not of the command line's root hash"},
	} {
		d, err := open(t, with(tc.change))
		require.NoError(t, err, name)
		if tc.want == "" {
			require.NoError(t, d.VerifyRoot(t.Context()))
			continue
		}
		require.ErrorContains(t, d.VerifyRoot(t.Context()), tc.want, name)
	}
	d, err := open(t, with(func(_, _ []byte) {}))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, d.VerifyRoot(ctx), context.Canceled)
}

// A disk of this layout with Ubuntu 26.04's kernel 7.0.0-1018-gcp and systemd-stub 259.9 was booted under QEMU
// with OVMF and a TPM with a SHA-384 bank on 2026-11-27. The prediction was made from the disk, the log by the boot.
func TestRealBoot(t *testing.T) {
	t.Parallel()
	b := realBoot(t)
	require.NoError(t, b.Check())
	raw, err := os.ReadFile("testdata/qemu-tpm.bin")
	require.NoError(t, err)
	log, err := measuredboot.ParseTPM(raw)
	require.NoError(t, err)
	require.NoError(t, b.JudgeTPM(log))
	require.ErrorContains(t, b.Judge(log), "RTMR2 that the disk does not make", "the kernel measured into PCR 9")
}

func realBoot(t *testing.T) *measuredboot.Boot {
	t.Helper()
	text, err := os.ReadFile("testdata/qemu-boot.json")
	require.NoError(t, err)
	var b measuredboot.Boot
	require.NoError(t, json.Unmarshal(text, &b))
	return &b
}

func BenchmarkOpen(b *testing.B) {
	d := disktest.Make(disktest.Spec{Kernel: make([]byte, 16<<20), Initrd: make([]byte, 54<<20)})
	b.SetBytes(70 << 20)
	for b.Loop() {
		_, err := open(b, d)
		require.NoError(b, err)
	}
}

func BenchmarkVerifyRoot(b *testing.B) {
	d := opened(b, disktest.Spec{Root: make([]byte, 256<<20)})
	b.SetBytes(256 << 20)
	for b.Loop() {
		require.NoError(b, d.VerifyRoot(b.Context()))
	}
}

func TestPartitions(t *testing.T) {
	t.Parallel()
	made := disktest.Make(disktest.Spec{Root: []byte("hsqs, found by its place")})
	d, err := measuredboot.Open(made.Reader(), int64(len(made)))
	require.NoError(t, err)
	esp, root, tree := d.Partitions()[0], d.Partitions()[1], d.Partitions()[2]
	require.Equal(t, int64(1<<20), esp.Start)
	require.Equal(t, esp.End, root.Start)
	require.True(t, bytes.HasPrefix(made[root.Start:], []byte("hsqs, found by its place")))
	require.Equal(t, d.Root().Size(), root.End-root.Start)
	require.True(t, bytes.HasPrefix(made[tree.Start:], []byte("verity")))
	require.Less(t, tree.End, int64(len(made)))
}

// A parameter is found by its whole name, and one without a value has none.
func TestWord(t *testing.T) {
	t.Parallel()
	b := measuredboot.Boot{CommandLine: "roothash=aa ro mero.profile=debug systemd.volatile=overlay"}
	for key, want := range map[string]string{"roothash": "aa", "mero.profile": "debug", "systemd.volatile": "overlay",
		"ro": "", "profile": "", "mero": "", "console": ""} {
		require.Equal(t, want, b.Word(key), key)
	}
}

func TestOpenFile(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { _ = errors.Join(r.Close(), w.Close()) })
	_, err = measuredboot.OpenFile(r)
	require.Equal(t, fault.Usage, fault.CodeOf(err), "a pipe has no end")
}
