// Package boot boots a node's disk for real, on an emulated machine with UEFI
// firmware and a TPM, and judges what happened: what was measured, what ran, what
// was open, and what those could do who hold the disk, the firmware's variables,
// the machine's tables or its keyboard.
//
// Its promise: the disk is the released one, byte for byte; nothing is put into
// it to be seen by, and it is not written to. What a profile without a way in
// does not show from outside is said to be unseen, and is not judged.
package boot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/node/boot/machine"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Request asks for the boot of one disk.
type Request struct {
	Disk    string          // the raw disk's file
	Profile release.Profile // empty: the one that the disk's command line names
	Report  string          // folder for report.json, report.md and what the machines left
	Control bool            // boot a disk, too, on which the host's words must have an effect
	TD      Lender          // of what a node of a debug profile is lent
	Console *console.Console
}

// Run boots the disk, judges it and writes the report. The error is about what
// kept it from looking; what was found is in the report's results.
func Run(ctx context.Context, r Request) (*Report, error) {
	disk, err := open(r.Disk)
	if err != nil {
		return nil, err
	}
	defer disk.file.Close()
	if r.Profile, err = disk.checkProfile(r.Profile); err != nil {
		return nil, err
	}
	programs, missing := machine.Find()
	if len(missing) > 0 {
		report := skipped(r.Profile, missing)
		report.Results.Print(r.Console)
		return report, nil
	}
	folder, remove, err := file.Temp("boot") // short: it has sockets in it
	if err != nil {
		return nil, err
	}
	defer remove()
	s := &session{Request: r, programs: programs, disk: disk, folder: folder, begun: time.Now(),
		report: &Report{Profile: r.Profile, Disk: filepath.Base(r.Disk), CommandLine: disk.boot.CommandLine,
			console: r.Console}}
	if reason := programs.KVM(ctx, folder); reason != "" {
		s.report.Processor = "emulated by TCG, since KVM is not to be had: " + reason
	} else {
		s.kvm, s.report.Processor = true, "KVM"
	}
	r.Console.Infof("booting %s as %s; the processor: %s", r.Disk, r.Profile, s.report.Processor)
	err = s.perform(ctx)
	s.report.Seconds = time.Since(s.begun).Seconds()
	return s.report, errors.Join(err, s.report.write(r.Report))
}

// machines is how many run at a time: an emulated processor takes one of the
// host's, and the common runner has two.
const machines = 2

// skipped is the report where a machine cannot be made.
func skipped(p release.Profile, missing []string) *Report {
	return &Report{Profile: p, Results: check.Results{check.Skip("a real boot", "not installed; apt-get install "+
		strings.Join(missing, " "))}}
}

// session is one disk's boots.
type session struct {
	Request
	programs machine.Programs
	kvm      bool
	disk     *image
	folder   string
	begun    time.Time
	report   *Report
}

// task is one machine's part.
type task struct {
	name string
	do   func(context.Context) error
}

// perform boots everything, as many machines at a time as there is room for.
func (s *session) perform(ctx context.Context) error {
	all := []task{{released, s.released}, {commandLine, s.extraCommandLine}, {otherUKI, s.flippedUKI}}
	if s.Control {
		all = append(all, task{control, s.control})
	}
	tasks := make(chan task, len(all))
	for _, t := range all {
		tasks <- t
	}
	close(tasks)
	g, ctx := errgroup.WithContext(ctx)
	for range machines {
		g.Go(func() error {
			for t := range tasks {
				if err := s.judged(t.name, t.do(ctx)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// The machines' names.
const (
	released        = "released"
	control         = "control"
	commandLine     = "command-line"
	otherSuperblock = "other-superblock"
	otherTree       = "other-tree"
	otherRoot       = "other-root"
	otherUKI        = "other-uki"
)

// judged makes a failed check of what did not come in time: the disk may be why.
func (s *session) judged(name string, err error) error {
	if !errors.Is(err, errNotYet) {
		return err
	}
	s.report.add(check.Fail("machine "+name, fault.Verification, "it came to a stop", "the next phase of its boot",
		err.Error()))
	return nil
}

// image is a disk that was opened and understood.
type image struct {
	file  *os.File
	size  int64
	boot  *measuredboot.Boot
	parts [3]measuredboot.Extent // ESP, root, root's tree
}

// open reads what a disk will measure. A file that does not exist is a missing
// asset, one that is no disk of a node is not what it should be.
func open(name string) (*image, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &fault.Error{Code: fault.MissingAsset, Message: "the disk does not exist", Expected: "a raw disk",
			Got: name, Hint: "build one: go tool mage node:build"}
	}
	if err != nil {
		return nil, err
	}
	d := &image{file: f}
	if err := d.read(); err != nil {
		_ = f.Close() // nothing was written
		return nil, err
	}
	return d, nil
}

func (d *image) read() error {
	info, err := d.file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fault.Mismatch("not a disk", "a file", info.Mode().Type().String())
	}
	d.size = info.Size()
	opened, err := measuredboot.OpenFile(d.file)
	if err != nil {
		return &fault.Error{Code: fault.Verification, Message: "not a node's disk: " + d.file.Name(), Err: err}
	}
	d.boot, d.parts = opened.Boot(), opened.Partitions()
	return nil
}

// lineAt is where the command line is on the disk.
func (d *image) lineAt() (int64, error) {
	esp := d.parts[0]
	b := make([]byte, esp.End-esp.Start)
	if _, err := d.file.ReadAt(b, esp.Start); err != nil {
		return 0, err
	}
	at := bytes.Index(b, []byte(d.boot.CommandLine))
	if at < 0 {
		return 0, fault.Mismatch("the disk's command line is in one piece", d.boot.CommandLine, "not found")
	}
	return esp.Start + int64(at), nil
}

// open is the disk with a command line that takes what the host says.
func (d *image) open() (*machine.Disk, error) {
	at, err := d.lineAt()
	if err != nil {
		return nil, err
	}
	out := machine.NewDisk(d.file, d.size)
	for _, word := range [][2]string{{"efi=noruntime", "efi=runtime  "},
		{"systemd.import_credentials=no", "systemd.import_credentials=on"}} {
		in := strings.Index(d.boot.CommandLine, word[0])
		if in < 0 {
			return nil, fault.Mismatch("the command line keeps the host out", word[0], d.boot.CommandLine)
		}
		out.Replace(at+int64(in), []byte(word[0]), []byte(word[1]))
	}
	return out, nil
}

func (d *image) checkProfile(asked release.Profile) (release.Profile, error) {
	p, err := release.ParseProfile(d.boot.Word("mero.profile"))
	if err != nil {
		return "", &fault.Error{Code: fault.Verification, Message: "the disk's command line names no profile", Err: err}
	}
	if asked != "" && asked != p {
		return "", fault.Mismatch("the disk is of another profile", string(asked), string(p))
	}
	return p, nil
}

// phase is a moment of a boot: seconds since the machine was made, and those that
// its processor has worked by then, which a busy host changes little.
type phase struct {
	Name      string  `json:"name"`
	Seconds   float64 `json:"seconds"`
	Processor float64 `json:"processor_seconds"` // 0 where the host does not say
}

// say reports a boot's progress, and keeps it.
func (s *session) say(g *guest, name string) {
	busy, _ := g.machine.Busy() // 0 on a host without /proc
	p := phase{name, g.machine.Age().Round(100 * time.Millisecond).Seconds(),
		busy.Round(100 * time.Millisecond).Seconds()}
	g.phases = append(g.phases, p)
	s.Console.Infof("%s: %s after %.0f s; the processor worked %.0f s", g.name, p.Name, p.Seconds, p.Processor)
}

// errNotYet is a condition that did not come true in time.
var errNotYet = errors.New("it did not happen in time")

// await asks every half second whether something has happened, for as long as
// the machine runs.
func (g *guest) await(ctx context.Context, limit time.Duration, happened func() (bool, error)) error {
	ctx, stop := context.WithTimeout(ctx, limit)
	defer stop()
	t := time.NewTicker(500 * time.Millisecond)
	defer t.Stop()
	for {
		if ok, err := happened(); ok || err != nil {
			return err
		}
		if err := g.machine.Ended(); err != nil {
			return err
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("%s: %w (%.0f s)", g.name, errNotYet, limit.Seconds())
			}
			return ctx.Err()
		}
	}
}
