package dstack

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// keys derives application keys, as dstack's own key management does, from a
// seed that stays on this machine, so that a later run gives the same ones.
type keys struct{ seed []byte }

const seedSize = 32

// openKeys reads the seed, or makes one. It refuses a seed that others may read.
func openKeys(path string) (*keys, error) {
	if err := makeSeed(path); err != nil {
		return nil, fmt.Errorf("dstack seed: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("dstack seed: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("dstack seed %s has mode %o: others may read it, want 600", path, info.Mode().Perm())
	}
	seed, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("dstack seed: %w", err)
	}
	if len(seed) != seedSize {
		return nil, fmt.Errorf("dstack seed %s has %d bytes, want %d", path, len(seed), seedSize)
	}
	return &keys{seed}, nil
}

// makeSeed writes a new seed unless there is one. Link makes it appear whole,
// and once, however many processes begin at the same time.
func makeSeed(path string) (err error) {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".seed.*.tmp") // mode 600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	seed := make([]byte, seedSize)
	_, _ = rand.Read(seed) // never fails
	_, err = f.Write(seed)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// derive is 32 bytes of HKDF-SHA256; equal app id, algorithm and path give equal keys.
func (k *keys) derive(appID, algorithm, path string) ([]byte, error) {
	return hkdf.Key(sha256.New, k.seed, []byte(appID), "dstack key: "+algorithm+": "+path, 32)
}

// provider identifies the key provider, as the event of that name does.
func (k *keys) provider() string {
	id := sha256.Sum256(append([]byte("dstack key provider: "), k.seed...))
	return hex.EncodeToString(id[:])
}
