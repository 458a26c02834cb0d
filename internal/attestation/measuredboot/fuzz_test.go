package measuredboot_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot"
	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot/disktest"
)

// patched reads a disk with other bytes in one place.
type patched struct {
	disk  disktest.Image
	at    int64
	patch []byte
}

func (p patched) ReadAt(b []byte, at int64) (int, error) {
	n, err := p.disk.Reader().ReadAt(b, at)
	if from := p.at - at; from < int64(n) && from+int64(len(p.patch)) > 0 {
		copy(b[max(0, from):n], p.patch[max(0, -from):])
	}
	return n, err
}

func FuzzOpen(f *testing.F) {
	d := disktest.Make(disktest.Spec{})
	for _, at := range []int{0, 512, 1024, 1 << 20, 1<<20 + 544*512, len(d) - 512} {
		f.Add(uint32(at), []byte(d[at:at+128]))
	}
	whole, err := open(f, d)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, at uint32, patch []byte) {
		got, err := measuredboot.Open(patched{d, int64(at), patch}, int64(len(d)))
		require.Equal(t, err != nil, got == nil)
		if err == nil {
			require.NoError(t, got.Boot().Check())
			require.NoError(t, got.Boot().Judge(got.Boot().Log()))
			require.Equal(t, whole.Boot().RTMR1[0], got.Boot().RTMR1[0])
		}
	})
}

func FuzzPartitionTable(f *testing.F) {
	d := disktest.Assemble([]byte("esp"), []byte("root"), []byte("tree"))
	f.Add([]byte(d[512:604]), []byte(d[1024:1536]))
	f.Fuzz(func(t *testing.T, header, entries []byte) {
		changed := bytes.Clone(d)
		last := len(changed) - 512
		copy(changed[512:1024], header)
		copy(changed[1024:34*512], entries)
		places := bytes.Clone(changed[last:])
		copy(changed[last:], changed[512:1024])
		copy(changed[last+24:], places[24:40]) // its own sector, and the other's
		copy(changed[last+72:], places[72:80]) // that of its entries
		disktest.Image(changed).Seal()
		if measuredboot.ReadTable(disktest.Image(changed).Reader(), int64(len(changed))) == nil {
			require.Equal(t, "EFI PART", string(changed[512:520]))
		}
	})
}

func FuzzFAT(f *testing.F) {
	d := disktest.FAT(disktest.File{Path: "EFI/BOOT/BOOTX64.EFI", Content: []byte("an image")})
	tables := disktest.Reserved * 512
	data := tables + 2*disktest.TableSectors(len(d))*512
	f.Add(d[:512], d[tables:tables+64], d[data:data+4*512])
	f.Fuzz(func(t *testing.T, boot, table, folders []byte) {
		var r io.ReaderAt = patched{d, 0, boot[:min(len(boot), 512)]}
		for _, p := range []patched{{at: int64(tables), patch: table}, {at: int64(data), patch: folders}} {
			r = over{r, p.at, p.patch}
		}
		file, err := measuredboot.ReadESP(io.NewSectionReader(r, 0, int64(len(d))))
		if err == nil {
			n, err := io.Copy(io.Discard, file)
			require.NoError(t, err)
			require.Equal(t, file.Size(), n)
		}
	})
}

// over is patched of another reader.
type over struct {
	io.ReaderAt
	at    int64
	patch []byte
}

func (p over) ReadAt(b []byte, at int64) (int, error) {
	n, err := p.ReaderAt.ReadAt(b, at)
	if from := p.at - at; from < int64(n) && from+int64(len(p.patch)) > 0 {
		copy(b[max(0, from):n], p.patch[max(0, -from):])
	}
	return n, err
}

func FuzzImage(f *testing.F) {
	image := disktest.UKI(disktest.Spec{}.Sections([32]byte{})...)
	f.Add(image[disktest.PEHeader : disktest.SectionTable+400])
	f.Fuzz(func(t *testing.T, headers []byte) {
		raw := bytes.Clone(image)
		copy(raw[disktest.PEHeader:], headers)
		if measuredboot.ReadUKI(io.NewSectionReader(bytes.NewReader(raw), 0, int64(len(raw)))) == nil {
			require.Equal(t, "PE", string(raw[disktest.PEHeader:][:2]))
		}
	})
}

func FuzzSuperblock(f *testing.F) {
	tree, _ := disktest.Tree(make([]byte, 300*4096), []byte("salt"))
	f.Add(tree[:128])
	f.Fuzz(func(t *testing.T, super []byte) {
		raw := bytes.Clone(tree)
		copy(raw, super)
		if measuredboot.ReadTree(io.NewSectionReader(bytes.NewReader(raw), 0, int64(len(raw))), 300*4096) == nil {
			require.Equal(t, "verity", string(raw[:6]))
		}
	})
}

func FuzzCommandLine(f *testing.F) {
	f.Add(disktest.Spec{Words: []string{"quiet"}}.CommandLine([32]byte{}))
	f.Add("ro ro")
	f.Fuzz(func(t *testing.T, line string) {
		if words, err := measuredboot.ReadCommandLine(line); err == nil {
			require.Equal(t, "noruntime", words["efi"])
			require.Equal(t, "no", words["systemd.import_credentials"])
		}
	})
}

func FuzzParseTPM(f *testing.F) {
	tree, _ := disktest.Tree(make([]byte, 2*4096), nil)
	f.Add(tree[:64])
	f.Fuzz(func(t *testing.T, raw []byte) {
		events, err := measuredboot.ParseTPM(raw)
		require.True(t, err == nil || events == nil)
	})
}

func FuzzCheck(f *testing.F) {
	text, err := os.ReadFile("testdata/qemu-boot.json")
	require.NoError(f, err)
	f.Add(string(text))
	f.Add(`{"gpt":"","rtmr1":[{}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		var b measuredboot.Boot
		if json.Unmarshal([]byte(text), &b) == nil && b.Check() == nil {
			require.NoError(t, b.Judge(b.Log()))
		}
	})
}
