package tsm

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/google/go-configfs-tsm/configfs/configfsi"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/file"
)

// The methods of configfsi.Client are POST requests to the paths of this name.
const (
	mkdirTemp = "/mkdir-temp"
	readDir   = "/read-dir"
	readFile  = "/read-file"
	writeFile = "/write-file"
	removeAll = "/remove-all"
)

const (
	maxRequest = 64 << 10 // a quote's report data and a digest are some ten bytes
	maxAnswer  = 2 << 20  // a quote is some kilobytes
)

// request holds a method's arguments: Data is what is written, Pattern is MkdirTemp's.
type request struct {
	Path    string `json:"path"`
	Pattern string `json:"pattern"`
	Data    []byte `json:"data"`
}

// answer holds a method's results.
type answer struct {
	Path    string  `json:"path,omitempty"`    // of MkdirTemp
	Data    []byte  `json:"data,omitempty"`    // of ReadFile
	Entries []item  `json:"entries,omitempty"` // of ReadDir
	Error   *failed `json:"error,omitempty"`
}

// failed is an error on the other side: its text, and the kernel's number for it.
type failed struct {
	Message string `json:"message"`
	Errno   uint16 `json:"errno"` // of Linux; 0 when it has none
}

// Error and Unwrap make it the error that the other side had, as far as errors.Is can tell.
func (f *failed) Error() string { return f.Message }

func (f *failed) Unwrap() error {
	if f.Errno == 0 {
		return nil
	}
	return syscall.Errno(f.Errno)
}

// failure finds the number in err, or the one that errors.Is takes for io/fs's error.
func failure(err error) *failed {
	if err == nil {
		return nil
	}
	var number syscall.Errno
	if !errors.As(err, &number) {
		for is, want := range map[error]syscall.Errno{fs.ErrNotExist: syscall.ENOENT, fs.ErrExist: syscall.EEXIST,
			fs.ErrPermission: syscall.EPERM, fs.ErrInvalid: syscall.EINVAL} {
			if errors.Is(err, is) {
				number = want
			}
		}
	}
	return &failed{err.Error(), uint16(number)} //nolint:gosec // Linux has 133 of them
}

// item is one entry of a directory.
type item struct {
	Called string `json:"name"`
	Dir    bool   `json:"dir"`
}

func (i item) Name() string             { return i.Called }
func (i item) IsDir() bool              { return i.Dir }
func (item) Info() (os.FileInfo, error) { return nil, fs.ErrNotExist }

func (i item) Type() os.FileMode {
	if i.Dir {
		return os.ModeDir
	}
	return 0
}

// decode reads a message of at most limit bytes.
func decode(r io.Reader, limit int64, v any) error {
	data, err := file.ReadAll(r, limit)
	if err != nil {
		return fmt.Errorf("a message: %w", err)
	}
	return canonical.Unmarshal(data, v)
}

// below says that a path is configfs-tsm's: nothing else is reached through the socket.
func below(path string) bool {
	return strings.HasPrefix(path, configfsi.TsmPrefix+"/") && !strings.Contains(path, "/..")
}
