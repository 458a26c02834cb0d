package tdxsim

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/google/go-configfs-tsm/configfs/configfsi"
	"github.com/google/go-configfs-tsm/configfs/faketsm"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
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

const noIndex = -1

// rtmrs is the tsm/rtmrs directory: make an entry, write its index once, then
// read its digest or write one to extend. The kernel lets a guest extend
// RTMR2 and RTMR3 only.
type rtmrs struct {
	td    *TD
	mu    sync.Mutex
	index map[string]int // entry name to RTMR, or noIndex
}

func (r *rtmrs) MkdirTemp(dir, pattern string) (string, error) {
	full, entry, err := entryPath(dir, pattern)
	if err != nil {
		return "", err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.index[entry] = noIndex
	return full, nil
}

func (r *rtmrs) ReadDir(string) ([]os.DirEntry, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []os.DirEntry
	for entry := range r.index {
		out = append(out, directory(entry))
	}
	slices.SortFunc(out, func(a, b os.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return out, nil
}

func (r *rtmrs) ReadFile(name string) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, i, err := r.entry(name)
	if err != nil {
		return nil, err
	}
	if i == noIndex && p.Attribute != "index" {
		return nil, syscall.EINVAL
	}
	switch p.Attribute {
	case "index":
		return []byte(strconv.Itoa(i) + "\n"), nil
	case "digest":
		value := r.td.Registers().Values()[1+i]
		return value[:], nil
	case "tcg_map":
		return []byte([]string{"1,7\n", "2-6\n", "8-15\n", "\n"}[i]), nil
	}
	return nil, os.ErrNotExist
}

func (r *rtmrs) WriteFile(name string, b []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, i, err := r.entry(name)
	if err != nil {
		return err
	}
	switch {
	case p.Attribute == "index":
		return r.setIndex(p.Entry, strings.TrimSpace(string(b)))
	case p.Attribute != "digest" || (i != 2 && i != 3):
		return os.ErrPermission
	case len(b) != tdx.RegisterSize:
		return syscall.EINVAL
	}
	return r.td.Extend(i, tdx.Register(b))
}

func (r *rtmrs) RemoveAll(string) error { return errors.New("rtmrs entries are permanent") }

func (r *rtmrs) entry(name string) (*configfsi.TsmPath, int, error) {
	p, err := configfsi.ParseTsmPath(name)
	if err != nil {
		return nil, 0, err
	}
	i, ok := r.index[p.Entry]
	if !ok {
		return nil, 0, os.ErrNotExist
	}
	return p, i, nil
}

func (r *rtmrs) setIndex(entry, text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > 3 {
		return syscall.EINVAL
	}
	for _, taken := range r.index {
		if taken == n {
			return syscall.EBUSY
		}
	}
	r.index[entry] = n
	return nil
}

// directory is an entry of ReadDir.
type directory string

func (d directory) Name() string             { return string(d) }
func (directory) IsDir() bool                { return true }
func (directory) Type() os.FileMode          { return os.ModeDir }
func (directory) Info() (os.FileInfo, error) { return nil, os.ErrNotExist }
