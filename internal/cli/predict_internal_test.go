package cli

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot"
	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot/disktest"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// ccel is a log as a TD's firmware leaves it.
func ccel(events []tdx.Event) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 0)
	b = le.AppendUint32(b, tdx.NoActionEvent)
	b = append(b, make([]byte, 20)...)
	spec := append([]byte("Spec ID Event03\x00"), make([]byte, 16)...)
	b = append(le.AppendUint32(b, uint32(len(spec))), spec...)
	for _, e := range events {
		b = le.AppendUint32(b, uint32(e.RTMR+1))
		b = le.AppendUint32(b, e.Type)
		b = le.AppendUint32(b, 1)
		b = append(le.AppendUint16(b, 0x0c), e.Digest[:]...)
		b = append(le.AppendUint32(b, uint32(len(e.Payload))), e.Payload...)
	}
	return b
}

func TestPredict(t *testing.T) {
	t.Parallel()
	image := disktest.Make(disktest.Spec{})
	disk, err := measuredboot.Open(image.Reader(), int64(len(image)))
	require.NoError(t, err)
	write := func(name string, content []byte) string {
		name = filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(name, content, 0o600))
		return name
	}
	path := filepath.Join(t.TempDir(), "disk.raw")
	require.NoError(t, image.WriteFile(path))
	added := append(disk.Boot().Log(), tdx.Event{RTMR: 2, Type: tdx.BootLoaderEvent, Payload: []byte("init=/bin/sh")})
	tpm, err := os.ReadFile("../attestation/measuredboot/testdata/qemu-tpm.bin")
	require.NoError(t, err)
	changed := bytes.Clone(image)
	changed[len(changed)-3<<20]++ // the root is the last MiB but two

	for name, tc := range map[string]struct {
		disk, log string
		code      fault.Code
		want      string
	}{
		"the disk":          {path, "", fault.Success, ""},
		"with its log":      {path, write("log", ccel(disk.Boot().Log())), fault.Success, ""},
		"with another log":  {path, write("log", ccel(added)), fault.Verification, "RTMR2 that the disk does not make"},
		"with a TPM's":      {path, write("log", tpm), fault.Verification, "other events of PCR 2 to 6"},
		"with no log":       {path, write("log", []byte("no log")), fault.Verification, "neither a TD's nor a TPM's"},
		"a log not there":   {path, "no-such-file", fault.Usage, "cannot read the evidence"},
		"not there":         {"no-such-file", "", fault.Usage, "cannot read the disk"},
		"a folder":          {t.TempDir(), "", fault.Verification, "size is not that of a disk"},
		"not a disk":        {write("disk", make([]byte, 1<<20)), "", fault.Verification, "header in sector 1 is none"},
		"a root not its":    {write("disk", changed), "", fault.Verification, "block 0 of the root is not of its hash tree"},
		"a disk that's cut": {write("disk", image[:len(image)-512]), "", fault.Verification, "cut or grown"},
	} {
		out := &bytes.Buffer{}
		err := Predict(t.Context(), out, tc.disk, tc.log, "")
		require.Equal(t, tc.code, fault.CodeOf(err), "%s: %v", name, err)
		if tc.want != "" {
			require.ErrorContains(t, err, tc.want, name)
			continue
		}
		rtmr1, rtmr2 := disk.Boot().Registers()
		require.Contains(t, out.String(), rtmr1.String())
		require.Contains(t, out.String(), rtmr2.String())
		require.Contains(t, out.String(), disk.Boot().CommandLine)
		for _, e := range disk.Boot().RTMR2 {
			require.Contains(t, out.String(), e.Digest.String())
		}
		require.Equal(t, tc.log != "", bytes.Contains(out.Bytes(), []byte("the log's events are exactly these")))
	}
}
