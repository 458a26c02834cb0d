package tdxsim

import (
	"crypto/rand"
	"fmt"
	"os"
	"path"
	"syscall"

	"github.com/google/go-configfs-tsm/configfs/configfsi"
	"github.com/google/go-configfs-tsm/configfs/faketsm"
)

// TSM puts a TD behind Linux's configfs-tsm interface, with the subsystems
// report (quotes of the given version) and rtmrs, so that a guest's own code runs over it.
func TSM(td *TD, version int) configfsi.Client {
	return &faketsm.Client{Subsystems: map[string]configfsi.Client{
		"report": reports(td, version),
		"rtmrs":  &rtmrs{td: td, index: map[string]int{}},
	}}
}

func reports(td *TD, version int) configfsi.Client {
	return &faketsm.ReportSubsystem{
		Random:  rand.Reader,
		Entries: map[string]*faketsm.ReportEntry{}, // faketsm keeps its lock when there is none yet
		MakeEntry: func() *faketsm.ReportEntry {
			return &faketsm.ReportEntry{InAttrs: map[string]*faketsm.ReportAttributeState{"inblob": {}}}
		},
		CheckInAttr: func(_ *faketsm.ReportEntry, attr string, b []byte) error {
			if attr != "inblob" || len(b) == 0 || len(b) > 64 {
				return syscall.EINVAL
			}
			return nil
		},
		ReadAttr: func(e *faketsm.ReportEntry, attr string) ([]byte, error) {
			switch attr {
			case "provider":
				return []byte("tdx_guest\n"), nil
			case "outblob":
				var reportData [64]byte
				if copy(reportData[:], e.InAttrs["inblob"].Value) == 0 {
					return nil, syscall.EINVAL
				}
				return td.Quote(version, reportData)
			}
			return nil, os.ErrNotExist
		},
	}
}

// entryPath reads an rtmrs path and names the entry it creates.
func entryPath(dir, pattern string) (full, entry string, err error) {
	p, err := configfsi.ParseTsmPath(dir)
	if err != nil {
		return "", "", err
	}
	if p.Entry != "" {
		return "", "", fmt.Errorf("%s has no subdirectories", dir)
	}
	entry = configfsi.TempName(rand.Reader, pattern)
	return path.Join(dir, entry), entry, nil
}
