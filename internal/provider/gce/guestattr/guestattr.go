// Package guestattr carries a report out of a VM that has no open port: as
// guest attributes, which the VM writes to its metadata server and the cloud's
// API reads.
//
// Its promise: a report is read back whole and unchanged, or not at all. Its
// summary is written last and holds the digest, so that a reader never takes
// half of a report for one.
package guestattr

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/file"
)

// The guest attributes that hold a node's report: their namespace, and its name there.
const (
	Namespace  = "mero"
	ReportName = "report"
)

const (
	// chunkSize bounds one value, in characters of base64. Compute Engine bounds a
	// value at 256 KB and all metadata of an instance at 512 KB, and takes three
	// writes in a second and ten in a minute: so they are few and large. A quote
	// and an event log are about 40 KB.
	chunkSize = 240_000
	maxChunks = 2
	// MaxReport bounds a report, in bytes before compression.
	MaxReport = 4 << 20
)

// Entry is one guest attribute.
type Entry struct{ Key, Value string }

// Encode compresses a report and cuts it into entries, in the order in which
// they must be written: name-0, name-1, …, and last the summary under name.
func Encode(name string, report []byte) ([]Entry, error) {
	if len(report) > MaxReport {
		return nil, fmt.Errorf("the report has %d bytes, more than %d", len(report), MaxReport)
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(report); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	text := base64.StdEncoding.EncodeToString(packed.Bytes())
	var out []Entry
	for i := 0; len(text) > 0; i++ {
		n := min(chunkSize, len(text))
		out = append(out, Entry{chunkKey(name, i), text[:n]})
		text = text[n:]
	}
	if len(out) > maxChunks {
		return nil, fmt.Errorf("the report needs %d guest attributes, more than %d", len(out), maxChunks)
	}
	return append(out, Entry{name, summary(len(out), report)}), nil
}

func chunkKey(name string, i int) string { return name + "-" + strconv.Itoa(i) }

func summary(chunks int, report []byte) string {
	return fmt.Sprintf("%d %s", chunks, digestOf(report))
}

func digestOf(report []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(report)) }

// ErrIncomplete says that the summary is not there yet.
var ErrIncomplete = errors.New("the report is not complete")

// DecodeNext is Decode of the report that comes in the place of an earlier one:
// ErrIncomplete as long as the summary is that one's, whatever else was written since.
func DecodeNext(name string, entries []Entry, before []byte) ([]byte, error) {
	for _, e := range entries {
		if _, sum, _ := strings.Cut(e.Value, " "); e.Key == name && sum == digestOf(before) {
			return nil, ErrIncomplete
		}
	}
	return Decode(name, entries)
}

// Decode puts the report of that name together from all entries of a VM.
func Decode(name string, entries []Entry) ([]byte, error) {
	values := map[string]string{}
	for _, e := range entries {
		values[e.Key] = e.Value
	}
	said, ok := values[name]
	if !ok {
		return nil, ErrIncomplete
	}
	count, _, _ := strings.Cut(said, " ")
	chunks, err := strconv.Atoi(count)
	if err != nil || chunks < 1 || chunks > maxChunks {
		return nil, fmt.Errorf("%s: not a summary: %.40q", name, said)
	}
	report, err := join(name, chunks, values)
	if err != nil {
		return nil, err
	}
	if want := summary(chunks, report); said != want {
		return nil, fmt.Errorf("%s: the report is not the one summed up: %.100q, not %q", name, want, said)
	}
	return report, nil
}

func join(name string, chunks int, values map[string]string) ([]byte, error) {
	var text strings.Builder
	for i := range chunks {
		chunk, ok := values[chunkKey(name, i)]
		if !ok || len(chunk) > chunkSize {
			return nil, fmt.Errorf("%s: missing or larger than %d", chunkKey(name, i), chunkSize)
		}
		text.WriteString(chunk)
	}
	r, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(text.String())))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return file.ReadAll(r, MaxReport)
}
