package audit

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot"
	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot/disktest"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/evidence"
	"github.com/calimero-network/mero-tee/internal/node/image"
)

// What booted is what the registers measured, whatever the log says that it was,
// and of every boot: a reboot is no exception.
func TestBootedFrom(t *testing.T) {
	t.Parallel()
	disk := disktest.Make(disktest.Spec{})
	read, err := measuredboot.Open(disk.Reader(), int64(len(disk)))
	require.NoError(t, err)
	record := &image.Record{Boot: *read.Boot()}
	boot := func(change func([]tdx.Event) []tdx.Event) *evidence.Observation {
		return &evidence.Observation{Events: change(record.Boot.Log())}
	}
	honest := func(log []tdx.Event) []tdx.Event { return log }
	require.NoError(t, bootedFrom([]*evidence.Observation{boot(honest), boot(honest)}, record))
	for name, tc := range map[string]struct {
		change func([]tdx.Event) []tdx.Event
		want   string
	}{
		"a payload forged": {func(log []tdx.Event) []tdx.Event {
			log[0].Payload = []byte("Calling somebody else")
			return log
		}, "a payload that is not of its digest"},
		"another command line under the words of this one": {func(log []tdx.Event) []tdx.Event {
			for i := range log {
				if d := log[i].Describe(); d.Name() == "section .cmdline" && !d.Measured {
					log[i].Digest = tdx.Register{1}
				}
			}
			return log
		}, "other events of RTMR2 than the disk makes"},
		"one event more": {func(log []tdx.Event) []tdx.Event {
			return append(log, tdx.Event{RTMR: 2, Type: tdx.BootLoaderEvent, Digest: tdx.Register{1}})
		}, "events of RTMR2 that the disk does not make"},
		"no event": {func([]tdx.Event) []tdx.Event { return nil }, "without events of RTMR1"},
	} {
		err := bootedFrom([]*evidence.Observation{boot(honest), boot(tc.change)}, record)
		require.ErrorContains(t, err, tc.want, name)
		require.ErrorContains(t, err, "boot 2: ", name)
		require.Equal(t, fault.Verification, fault.CodeOf(err), name)
	}
	require.ErrorContains(t, bootedFrom(nil, nil), "record is not valid")
}
