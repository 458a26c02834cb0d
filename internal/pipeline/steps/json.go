package steps

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/file"
)

// WriteAsset stages an asset, whole or not at all.
func (l *Lane) WriteAsset(name string, data []byte) error {
	return file.Write(filepath.Join(l.Assets(), name), data, 0o644)
}

// ReadJSON reads one of our own records strictly.
func ReadJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := canonical.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return nil
}

// WriteJSON writes a record so that it is there whole or not at all.
func WriteJSON(path string, v any) error {
	data, err := canonical.Marshal(v)
	if err != nil {
		return err
	}
	return file.Write(path, data, 0o644)
}
