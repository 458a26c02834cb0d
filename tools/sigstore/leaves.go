package main

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// leafFile keeps a log's leaves, one base64 line each, so that a log continues where it ended.
type leafFile struct{ f *os.File }

// openLeaves hands every leaf kept in dir to each, oldest first. A last line
// without its newline was never answered for: it is cut off.
func openLeaves(dir string, each func(leaf []byte)) (*leafFile, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "leaves"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	var whole int64
	for r := bufio.NewReader(f); ; {
		line, err := r.ReadBytes('\n')
		if err != nil {
			break
		}
		leaf, err := base64.StdEncoding.DecodeString(string(line[:len(line)-1]))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("leaf at byte %d of %s: %w", whole, f.Name(), err), f.Close())
		}
		each(leaf)
		whole += int64(len(line))
	}
	if err := f.Truncate(whole); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	_, err = f.Seek(whole, 0)
	return &leafFile{f: f}, err
}

func (l *leafFile) append(leaf []byte) error {
	_, err := l.f.WriteString(base64.StdEncoding.EncodeToString(leaf) + "\n")
	return err
}
