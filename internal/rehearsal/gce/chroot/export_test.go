package chroot

import (
	"time"

	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot/apt"
)

// Missing is what is said when one program is not there.
func Missing(name, pkg string) error { return look([]program{{name, pkg}}) }

// Key is a base's place in the cache.
func Key(d *apt.Distribution, options []string, month time.Time) string {
	return (&recipe{d, options, month}).key()
}
