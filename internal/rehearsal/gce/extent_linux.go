package gce

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// extent is the next part of a file that is no hole, both ends size when none
// follows. Where the file system does not tell, all is.
func extent(f *os.File, at, size int64) (begin, end int64, err error) {
	begin, err = f.Seek(at, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO):
		return size, size, nil
	case errors.Is(err, unix.EINVAL):
		return at, size, nil
	case err != nil:
		return 0, 0, err
	}
	end, err = f.Seek(begin, unix.SEEK_HOLE)
	return begin, min(end, size), err
}
