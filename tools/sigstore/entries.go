package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
)

// logged is an entry of the Rekor v1 log.
type logged struct {
	body    []byte
	seconds int64 // when it was integrated, Unix time
}

// entryFile keeps a log's entries, one line each ("{seconds} {base64}"), so that a log continues where it ended.
type entryFile struct{ f *os.File }

// openEntries hands every entry kept in dir to each, oldest first. A last line
// without its newline was never answered for: it is cut off.
func openEntries(dir string, each func(logged)) (*entryFile, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "entries"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	whole, err := readEntries(f, each)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", f.Name(), err), f.Close())
	}
	if err := f.Truncate(whole); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	_, err = f.Seek(whole, 0)
	return &entryFile{f: f}, err
}

// readEntries also says how many bytes are whole lines.
func readEntries(from io.Reader, each func(logged)) (whole int64, err error) {
	for r := bufio.NewReader(from); ; {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return whole, nil
		}
		if err != nil {
			return whole, err
		}
		e, err := parseEntry(line[:len(line)-1])
		if err != nil {
			return whole, fmt.Errorf("entry at byte %d: %w", whole, err)
		}
		each(e)
		whole += int64(len(line))
	}
}

func parseEntry(line []byte) (e logged, err error) {
	seconds, body, _ := bytes.Cut(line, []byte(" "))
	if e.seconds, err = strconv.ParseInt(string(seconds), 10, 64); err != nil {
		return e, err
	}
	e.body, err = base64.StdEncoding.DecodeString(string(body))
	return e, err
}

func (l *entryFile) append(e logged) error {
	_, err := fmt.Fprintf(l.f, "%d %s\n", e.seconds, base64.StdEncoding.EncodeToString(e.body))
	return err
}
