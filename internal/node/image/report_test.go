package image_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/release"
)

func TestFillFromAReport(t *testing.T) {
	t.Parallel()
	want := complete(t, release.LockedReadOnly)
	text := fmt.Sprintf("ansible 2.14.18\ncommand-line  %s \n%s", want.KernelCommandLine, want.Manifest())
	report, err := image.ParseReport([]byte(text))
	require.NoError(t, err)
	got := &image.Record{Profile: want.Profile, Version: want.Version, Commit: want.Commit, ContentID: want.ContentID,
		Image: want.Image,
		Base:  want.Base, Binaries: want.Binaries, Tools: want.Tools}
	got.Tools.Ansible = ""
	require.NoError(t, got.Fill(report))
	require.Equal(t, want, got)
}

func TestFillRefuses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"empty": "", "no version": "command-line x\n", "no command line": "ansible 2.14\nx\n", "one line": "ansible 2.14",
		"no manifest line": "ansible 2.14\ncommand-line x\ngarbage\n",
		"root hash":        "ansible 2.14\ncommand-line mero.roothash=xyz\n",
		"long root hash":   "ansible 2.14\ncommand-line mero.roothash=" + strings.Repeat("0", 66) + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report, err := image.ParseReport([]byte(text))
			if err == nil {
				err = new(image.Record).Fill(report)
			}
			require.Error(t, err)
		})
	}
}

func FuzzReport(f *testing.F) {
	f.Add([]byte("ansible 2.14\ncommand-line mero.roothash=00\nlink\t/a\tb\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		report, err := image.ParseReport(data)
		if err != nil {
			return
		}
		var r image.Record
		if r.Fill(report) == nil {
			require.Equal(t, string(report.Manifest), string(r.Manifest()))
		}
	})
}
