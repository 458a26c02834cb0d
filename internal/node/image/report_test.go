package image_test

import (
	"encoding/json"
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
	boot, err := json.Marshal(want.Boot)
	require.NoError(t, err)
	text := fmt.Sprintf("ansible 2.14.18\nboot %s\n%s", boot, want.Manifest())
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
	boot, err := json.Marshal(complete(t, release.Debug).Boot)
	require.NoError(t, err)
	for name, text := range map[string]string{
		"empty": "", "no version": "boot {}\n", "no boot": "ansible 2.14\nx\n", "one line": "ansible 2.14",
		"no manifest line":  fmt.Sprintf("ansible 2.14\nboot %s\ngarbage\n", boot),
		"no JSON":           "ansible 2.14\nboot x\n",
		"a boot of nothing": "ansible 2.14\nboot {}\n",
		"what is not known": fmt.Sprintf("ansible 2.14\nboot {\"more\": 1, %s\n", boot[1:]),
		"more on the line":  fmt.Sprintf("ansible 2.14\nboot %s {}\n", boot),
		"too much":          "ansible 2.14\nboot {}\n" + strings.Repeat("x", 4<<20),
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
	boot, err := json.Marshal(complete(f, release.Debug).Boot)
	require.NoError(f, err)
	f.Add(fmt.Appendf(nil, "ansible 2.14\nboot %s\nlink\t/a\tb\n", boot))
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
