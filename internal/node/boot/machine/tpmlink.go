package machine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
)

// tpmLink stands between the emulator and swtpm, so that the TPM has no hash but
// SHA-384. swtpm has a bank for each hash that it knows, most of them not
// allocated, and firmware computes the digests of all banks there are: four
// times the work, for values that nobody takes (an emulated processor took 9 s
// for the firmware's own measurement with five hashes, 3 s with one; 2026-11-27).
type tpmLink struct{ emulator, tpm *net.UnixConn }

// serveTPM takes the emulator's connection to the TPM, and serves it until either end goes.
func serveTPM(l net.Listener, swtpm string) {
	conn, err := l.Accept()
	if err != nil {
		return // the machine does not start
	}
	defer conn.Close()
	far, err := net.Dial("unix", swtpm) //nolint:noctx // a socket of this machine, which exists
	if err != nil {
		return // QEMU says that it has no TPM
	}
	defer far.Close()
	emulator, ok := conn.(*net.UnixConn)
	tpm, also := far.(*net.UnixConn)
	if ok && also {
		k := &tpmLink{emulator, tpm}
		go func() { _, _ = io.Copy(emulator, tpm) }() // what control asks for ends with it
		_ = k.control()                               // either end is gone
	}
}

// control passes the emulator's control commands on. One of them carries the
// socket that the TPM's own commands will come from.
func (k *tpmLink) control() error {
	b, rights := make([]byte, page), make([]byte, syscall.CmsgSpace(4))
	for {
		n, oob, _, _, err := k.emulator.ReadMsgUnix(b, rights)
		if err != nil {
			return err
		}
		if n == 0 {
			return io.EOF
		}
		var passed []byte
		var ours *os.File
		if oob > 0 {
			if ours, passed, err = k.commands(rights[:oob]); err != nil {
				return err
			}
		}
		_, _, err = k.tpm.WriteMsgUnix(b[:n], passed, nil)
		if ours != nil {
			err = errors.Join(err, ours.Close())
		}
		if err != nil {
			return err
		}
	}
}

// commands takes the emulator's socket and makes one for swtpm in its place: a
// copy of it to close once it is sent, and the message that carries it.
func (k *tpmLink) commands(rights []byte) (far *os.File, message []byte, err error) {
	messages, err := syscall.ParseSocketControlMessage(rights)
	if err != nil || len(messages) != 1 {
		return nil, nil, errors.Join(errors.New("the emulator passes no socket"), err)
	}
	fds, err := syscall.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, nil, errors.Join(errors.New("the emulator passes no socket"), err)
	}
	emulator := os.NewFile(uintptr(fds[0]), "emulator")
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return nil, nil, errors.Join(err, emulator.Close())
	}
	near := os.NewFile(uintptr(pair[0]), "near")
	go func() {
		_ = exchange(emulator, near) // either end is gone
		_ = errors.Join(emulator.Close(), near.Close())
	}()
	return os.NewFile(uintptr(pair[1]), "far"), syscall.UnixRights(pair[1]), nil
}

const (
	tpmHead          = 10 // tag, size, and what is asked or how it went
	tpmGetCapability = 0x17a
	tpmCapPCRs       = 5
)

// exchange passes commands on, and their answers back.
func exchange(emulator, tpm io.ReadWriter) error {
	for {
		command, err := readTPM(emulator)
		if err != nil {
			return err
		}
		if _, err := tpm.Write(command); err != nil {
			return err
		}
		answer, err := readTPM(tpm)
		if err != nil {
			return err
		}
		if binary.BigEndian.Uint32(command[6:]) == tpmGetCapability {
			answer = onlySHA384(answer)
		}
		if _, err := emulator.Write(answer); err != nil {
			return err
		}
	}
}

// readTPM reads one command or answer.
func readTPM(r io.Reader) ([]byte, error) {
	b := make([]byte, tpmHead, page)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(b[2:])
	if size < tpmHead || size > maxCommand {
		return nil, fmt.Errorf("a TPM's command of %d bytes", size)
	}
	b = append(b, make([]byte, size-tpmHead)...)
	_, err := io.ReadFull(r, b[tpmHead:])
	return b, err
}

// onlySHA384 leaves the other banks out of an answer that lists the banks; it
// returns every other answer as it is (TCG TPM 2.0 Library, part 2, 10.9.7; part 3, 30.2).
func onlySHA384(answer []byte) []byte {
	const banks = tpmHead + 9 // more to come, the capability, how many
	if len(answer) < banks || binary.BigEndian.Uint32(answer[6:]) != 0 ||
		binary.BigEndian.Uint32(answer[11:]) != tpmCapPCRs {
		return answer
	}
	out, kept := append([]byte(nil), answer[:banks]...), uint32(0)
	for rest := answer[banks:]; len(rest) > 0; {
		if len(rest) < 3 || len(rest) < 3+int(rest[2]) {
			return answer
		}
		size := 3 + int(rest[2])
		if binary.BigEndian.Uint16(rest) == tpmSHA384 {
			out = append(out, rest[:size]...)
			kept++
		}
		rest = rest[size:]
	}
	binary.BigEndian.PutUint32(out[banks-4:], kept)
	binary.BigEndian.PutUint32(out[2:], uint32(len(out))) //nolint:gosec // shorter than the answer
	return out
}
