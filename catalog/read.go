package catalog

import (
	"errors"
	"io/fs"
	"os"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
)

// Read reads a catalog's file. One that is not there has code MissingAsset, what
// is no file Usage, what is no catalog Verification.
func Read(path string) (*Catalog, error) {
	data, err := ReadBytes(path)
	if err != nil {
		return nil, err
	}
	return Decode(data)
}

// ReadBytes is Read of a file that need not be a catalog.
func ReadBytes(path string) ([]byte, error) {
	var data []byte
	info, err := os.Lstat(path) // a link could lead out of the repository
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err == nil {
		data, err = file.Read(path, canonical.MaxSize)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &fault.Error{Code: fault.MissingAsset, Message: "there is no compatibility catalog", Err: err,
			Expected: path, Got: "no such file", Hint: "COMPATIBILITY_CATALOG_PATH names the file, " + Path + " by default"}
	case err != nil:
		return nil, &fault.Error{Code: fault.Usage, Message: "the compatibility catalog cannot be read", Err: err,
			Expected: "a regular file of at most 4 MiB", Got: path, Hint: "COMPATIBILITY_CATALOG_PATH names the file"}
	}
	return data, nil
}
