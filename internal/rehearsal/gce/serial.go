package gce

import (
	"errors"
	"os"
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
	if start := q.URL.Query().Get("start"); start != "" {
		return nil, invalid("start", start, "The rehearsal answers with all that is kept.")
	}
	var data []byte
	var from int64
	if port := q.URL.Query().Get("port"); port == "" || port == "1" { // nothing ever writes to the others
		if data, from, err = tail(s.file(in, ".serial")); err != nil {
			return nil, err
		}
	}
	return &computepb.SerialPortOutput{Kind: new("compute#serialPortOutput"), SelfLink: new(root + pathOf(q.URL.Path)),
		Contents: new(strings.ToValidUTF8(string(data), "\uFFFD")), Start: &from, Next: new(from + int64(len(data)))}, nil
}

// tail reads a file's last maxSerial bytes, and says where they begin.
func tail(path string) ([]byte, int64, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, 0, nil
	}
	from := max(0, len(data)-maxSerial)
	return data[from:], int64(from), err
}
