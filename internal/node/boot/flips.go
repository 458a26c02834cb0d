package boot

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/boot/machine"
	"github.com/calimero-network/mero-tee/internal/release"
)

// trunk is a boot that was saved before its kernel had anything of the root: it
// goes on as often as there are bytes to change, since firmware and initrd take
// most of the time of a boot that stops at its root.
type trunk struct {
	file   string
	serial string // what its kernel said until then
}

// saveBeforeRoot saves a machine whose kernel has started at its first read of
// root or tree: the processor stops before that read is answered. What it reads
// there are partition probes' pages, in a cache that dm-verity does not use; and a
// byte counts as changed only if it is read later (flipped).
func (s *session) saveBeforeRoot(ctx context.Context, g *guest) (trunk, error) {
	root, tree := s.disk.parts[1], s.disk.parts[2]
	frozen := make(chan error, 1)
	g.disk.BeforeFirstRead(root.Start, tree.End, func() { frozen <- g.machine.Freeze() })
	err := g.await(ctx, patience, func() (bool, error) {
		select {
		case err := <-frozen:
			return true, err
		default:
			if g.machine.Restarts() > 0 {
				return false, fmt.Errorf("%s restarts before it reads the root: %w", g.name, errNotYet)
			}
			return false, nil
		}
	})
	if err != nil {
		return trunk{}, err
	}
	t := trunk{file: filepath.Join(s.folder, g.name+".saved")}
	if t.serial, err = g.serial(); err != nil {
		return trunk{}, err
	}
	if err := g.machine.Save(ctx, t.file); err != nil {
		return trunk{}, &fault.Error{Code: fault.General, Message: "the machine " + g.name + " is not saved", Err: err}
	}
	s.say(g, "the kernel reads the root; saved")
	return t, nil
}

// branch is a boot with another byte in the first page that is read between two offsets.
type branch struct {
	name, what string
	from, to   int64
	in         int64 // the byte's place in its page
}

// branches are the bytes that are changed: of the superblock, which is the first
// thing that is read of a file system; of the topmost block of the tree, which is
// behind the tree's own superblock; and of the middle half of the root, behind
// what probes of the partition read, so that dm-verity is who sees it.
func (s *session) branches() []branch {
	root, tree := s.disk.parts[1], s.disk.parts[2]
	quarter := (root.End - root.Start) / 4
	return []branch{
		{otherSuperblock, "one byte of the root's superblock", root.Start, root.Start + blockSize, 0},
		{otherTree, "one byte of the root's hash tree", tree.Start + blockSize, tree.Start + 2*blockSize, 0},
		{otherRoot, "one byte in the middle of the root", root.Start + quarter, root.End - quarter, blockSize / 2},
	}
}

// blockSize is that of the root and of its tree, in bytes.
const blockSize = 4096

// flipped has a saved boot go on with another byte, and judges its end: it
// restarts before it has a network, and shows no way in.
func (s *session) flipped(ctx context.Context, c machine.Config, from trunk, b branch) error {
	c.Disk = machine.NewDisk(s.disk.file, s.disk.size)
	c.Disk.FlipFirstRead(b.from, b.to, b.in)
	g, closed, err := s.start(ctx, b.name, c, nil)
	if err != nil {
		return err
	}
	defer closed()
	g.before = from.serial
	late := g.await(ctx, patience, func() (bool, error) { return g.machine.Restarts() > 0 || g.network.Leases() > 0, nil })
	if late != nil && !errors.Is(late, errNotYet) {
		return late
	}
	said, err := g.serial()
	if err != nil {
		return err
	}
	way := shell(said)
	if s.Profile == release.Debug {
		way = ""
	}
	got := end{way, g.network.Leases() > 0, g.machine.Restarts() > 0, len(g.disk.Flipped()) > 0}.words()
	s.say(g, got)
	r := must("attack: "+b.what+" is another", got == stopped, "the boot stops, without a shell and a network", got)
	s.report.add(r.WithHint(verityHint))
	return nil
}

// end is how a boot with another byte ended.
type end struct {
	way                    string // in, as the serial port shows it
	runs, restarted, asked bool   // it has a network; it restarted; it has read the byte
}

const stopped = "the boot stops and the machine restarts"

func (e end) words() string {
	switch {
	case e.way != "":
		return "a way in: " + e.way
	case e.runs:
		return "the node runs"
	case !e.restarted:
		return "neither stops nor goes on"
	case !e.asked:
		return "the machine restarts before it has asked for the byte"
	}
	return stopped
}

// verityHint is what makes one other byte of the root or of its tree the boot's end.
// Without it, dm-verity makes an error of each block, and whoever reads it goes on.
const verityHint = "dm-verity stops at once with systemd.verity_root_options=panic-on-corruption"
