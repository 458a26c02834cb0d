package gce

import (
	"errors"
	"io"
	"os"
	"strconv"
	"strings"

	"cloud.google.com/go/compute/apiv1/computepb"
)

// maxSerial is how much of the output is kept: "the most recent 1 MB".
const maxSerial = 1 << 20

func (s *Server) getSerialPort(q request) (any, error) {
	in, err := s.instance(q)
	if err != nil {
		return nil, err
	}
	var data []byte
	var from int64
	if port := q.URL.Query().Get("port"); port == "" || port == "1" { // nothing ever writes to the others
		start, err := strconv.ParseInt("0"+q.URL.Query().Get("start"), 10, 64)
		if err != nil {
			return nil, invalid("start", q.URL.Query().Get("start"), "Must be a number.")
		}
		if data, from, err = tail(s.file(in, ".serial"), start); err != nil {
			return nil, err
		}
	}
	return &computepb.SerialPortOutput{Kind: new("compute#serialPortOutput"), SelfLink: new(root + pathOf(q.URL.Path)),
		Contents: new(strings.ToValidUTF8(string(data), "\uFFFD")), Start: &from, Next: new(from + int64(len(data)))}, nil
}

// tail reads a file from start on, at most its last maxSerial bytes.
func tail(path string, start int64) ([]byte, int64, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	defer f.Close() //nolint:errcheck // read-only handle
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	start = min(max(start, info.Size()-maxSerial), info.Size())
	data, err := io.ReadAll(io.NewSectionReader(f, start, info.Size()-start))
	return data, start, err
}
