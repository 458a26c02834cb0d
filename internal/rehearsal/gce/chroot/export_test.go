package chroot

import "context"

// Missing is what is said when one program is not there.
func Missing(name, pkg string) error { return look([]program{{name, pkg}}) }

// ShowsRegisters is what decides whether the registers of a TD are served.
var ShowsRegisters = showsRegisters

// Flat is flat, for tests that look into a disk.
func (h *Host) Flat(ctx context.Context, disk string) (string, func() error, error) {
	return h.flat(ctx, disk)
}

// WithoutLayers makes a host that knows no layers, as in some containers.
func (h *Host) WithoutLayers() { h.bases.usable = func() bool { return false } }

// Layers says whether a disk is a layer on this machine.
func (h *Host) Layers() bool { return h.bases.usable() }
