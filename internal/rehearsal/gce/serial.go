package gce

import (
	"errors"
	"io"
	"os"
	"strconv"

	compute "google.golang.org/api/compute/v1"
)

// maxSerial is how much of the output is kept: "the most recent 1 MB".
const maxSerial = 1 << 20

func (s *Server) getSerialPort(q request) (any, error) {
	in, err := s.find(q)
	if err != nil {
		return nil, err
	}
	out := &compute.SerialPortOutput{Kind: "compute#serialPortOutput", SelfLink: root + pathOf(q.URL.Path), ForceSendFields: []string{"Contents", "Start", "Next"}}
	if port := q.URL.Query().Get("port"); port != "" && port != "1" {
		return out, nil // nothing ever writes to the others
	}
	start, err := strconv.ParseInt("0"+q.URL.Query().Get("start"), 10, 64)
	if err != nil {
		return nil, invalid("start", q.URL.Query().Get("start"), "Must be a number.")
	}
	data, from, err := tail(s.file("instances", in.resource.Name, ".serial"), start)
	out.Contents, out.Start, out.Next = string(data), from, from+int64(len(data))
	return out, err
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
	data := make([]byte, info.Size()-start)
	n, err := f.ReadAt(data, start)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return data[:n], start, err
}
