package gce

import (
	"context"
	"io"
)

// Machines is what instances run on.
type Machines interface {
	// Unpack makes the disk, a folder that does not exist yet, from an image file.
	Unpack(ctx context.Context, image, disk string) error
	// Capture writes an image file from a disk, wholly or not at all.
	Capture(ctx context.Context, disk, image string) error
	// Boot returns when the machine has started; ctx ends when the server closes.
	Boot(ctx context.Context, spec Spec) (Machine, error)
}

// Remover is implemented by Machines whose disks hold files of other users, as
// they do where there is no root.
type Remover interface {
	// Remove deletes a disk, or what a killed Unpack left of one.
	Remove(ctx context.Context, disk string) error
}

// Machine is one that was started.
type Machine interface {
	// Stop ends it and returns when nothing of it runs any more.
	Stop() error
	// Done is closed when it has ended, by itself too.
	Done() <-chan struct{}
}

// Spec is the machine that an instance needs.
type Spec struct {
	Name         string
	Disk         string // the boot disk's folder
	Confidential bool   // a TDX VM
	// Users are the logins of the metadata's ssh-keys with their authorized_keys.
	Users    map[string]string
	Address  string // the instance's own, 127.x.y.z
	SSHPort  int
	Metadata string    // "host:port" of the instance's metadata server
	Serial   io.Writer // the first serial port
}
