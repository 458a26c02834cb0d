package machine

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
)

// Measurement is one digest that was extended into a PCR of the SHA-384 bank.
type Measurement struct {
	PCR    int
	Digest tdx.Register
}

// Commands of a TPM (TCG TPM 2.0 Library, part 2, 6.5.2).
const (
	tpmPCREvent         = 0x13c
	tpmPCRReset         = 0x13d
	tpmStartup          = 0x144
	tpmPCRExtend        = 0x182
	tpmSequenceComplete = 0x185
	tpmSHA384           = 0x0c
	tpmWithSession      = 0x8002
)

// maxCommand bounds a command, in bytes; the TPM itself takes 4096.
const maxCommand = 8192

// Measured reads the record that swtpm keeps of the commands that it was given
// (--log level=20): the measurements of each boot, in order. A boot begins when
// the TPM is started. Because it is the TPM's own record, the machine that
// measures does not have to show anything.
func Measured(record io.Reader) ([][]Measurement, error) {
	t := &tpmRecord{}
	r := bufio.NewReader(record)
	for {
		line, err := r.ReadString('\n')
		if errors.Is(err, io.EOF) { // what has no end is being written
			return t.boots, nil
		}
		if err == nil {
			err = t.line(line)
		}
		if err != nil {
			return nil, err
		}
	}
}

// tpmRecord puts commands together that are printed in lines of 16 bytes.
type tpmRecord struct {
	boots   [][]Measurement
	command []byte // the last one, until its answer is known
	buffer  []byte // what is being printed
	left    int    // bytes of it that are still to come
	answer  bool   // it is an answer
}

func (t *tpmRecord) line(line string) error {
	text := strings.TrimSpace(line)
	if size, ok := strings.CutPrefix(text, "SWTPM_IO_Read: length "); ok {
		return t.begin(size, false)
	}
	if size, ok := strings.CutPrefix(text, "SWTPM_IO_Write: length "); ok {
		return t.begin(size, true)
	}
	if t.left == 0 {
		return nil
	}
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil || len(b) > t.left {
		return fmt.Errorf("the TPM's record breaks off in a command: %q", line)
	}
	t.buffer = append(t.buffer, b...)
	if t.left -= len(b); t.left > 0 {
		return nil
	}
	if !t.answer {
		t.command = t.buffer
		return nil
	}
	return t.done(t.buffer)
}

func (t *tpmRecord) begin(size string, answer bool) error {
	n, err := strconv.Atoi(size)
	if err != nil || n < 0 || n > maxCommand {
		return fmt.Errorf("the TPM's record has a command of %q bytes", size)
	}
	t.left, t.answer, t.buffer = n, answer, make([]byte, 0, n)
	return nil
}

// done takes a command whose answer is known; what the TPM refused had no effect.
func (t *tpmRecord) done(answer []byte) error {
	c := t.command
	t.command = nil
	if len(c) < 10 || len(answer) < 10 || binary.BigEndian.Uint32(answer[6:]) != 0 {
		return nil
	}
	switch code := binary.BigEndian.Uint32(c[6:]); code {
	case tpmStartup:
		t.boots = append(t.boots, nil)
	case tpmPCRExtend:
		m, err := parseExtend(c)
		if err != nil {
			return err
		}
		if len(t.boots) == 0 {
			return errors.New("the TPM was extended before it was started")
		}
		last := len(t.boots) - 1
		t.boots[last] = append(t.boots[last], m)
	case tpmPCREvent, tpmPCRReset, tpmSequenceComplete:
		return fmt.Errorf("a PCR was changed by a command that nobody expects, %#x", code)
	}
	return nil
}

// parseExtend takes a TPM2_PCR_Extend apart: PCR, authorization, and a digest for each bank.
func parseExtend(c []byte) (Measurement, error) {
	short := errors.New("a TPM2_PCR_Extend that cannot be read")
	if len(c) < 18 || binary.BigEndian.Uint16(c) != tpmWithSession {
		return Measurement{}, short
	}
	pcr, auth := binary.BigEndian.Uint32(c[10:]), binary.BigEndian.Uint32(c[14:])
	if pcr > 23 || auth > uint32(len(c)) || 18+int(auth)+4 > len(c) { //nolint:gosec // at most maxCommand
		return Measurement{}, short
	}
	rest := c[18+auth:]
	count := binary.BigEndian.Uint32(rest)
	rest = rest[4:]
	for range min(count, 16) {
		if len(rest) < 2 {
			return Measurement{}, short
		}
		kind := binary.BigEndian.Uint16(rest)
		size, known := map[uint16]int{4: 20, 0x0b: 32, tpmSHA384: 48, 0x0d: 64, 0x12: 32}[kind]
		if !known || len(rest) < 2+size {
			return Measurement{}, short
		}
		if kind == tpmSHA384 {
			return Measurement{int(pcr), tdx.Register(rest[2:50])}, nil
		}
		rest = rest[2+size:]
	}
	return Measurement{}, errors.New("a TPM2_PCR_Extend without SHA-384")
}
