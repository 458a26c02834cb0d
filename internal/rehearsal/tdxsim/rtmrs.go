package tdxsim

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/google/go-configfs-tsm/configfs/configfsi"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
)

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
