package audit

import (
	"crypto/sha512"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/evidence"
	"github.com/calimero-network/mero-tee/internal/node/image"
)

// What booted is what the register measured, whatever the log says that it was.
func TestBootedFrom(t *testing.T) {
	t.Parallel()
	const parameters = "mero.profile=debug quiet"
	record := &image.Record{KernelCommandLine: parameters}
	event := func(measured, logged string) tdx.Event {
		return tdx.Event{RTMR: 2, Type: tdx.BootLoaderEvent, Digest: sha512.Sum384([]byte(measured)),
			Payload: []byte("kernel_cmdline: " + logged + "\x00")}
	}
	const line = "/vmlinuz " + parameters
	booted := func(e ...tdx.Event) error { return bootedFrom(&evidence.Observation{Events: e}, record) }
	require.NoError(t, booted(event(line, line)))
	for name, tc := range map[string]struct {
		events []tdx.Event
		want   string
	}{
		"words that were not measured": {[]tdx.Event{event("/vmlinuz init=/bin/sh", line)}, "nothing proves"},
		"one parameter more": {[]tdx.Event{event(line+" init=/bin/sh", line+" init=/bin/sh")},
			"another kernel command line"},
		"no event": {nil, "nothing proves"},
	} {
		err := booted(tc.events...)
		require.ErrorContains(t, err, tc.want, name)
		require.Equal(t, fault.Verification, fault.CodeOf(err), name)
	}
	require.ErrorContains(t, bootedFrom(&evidence.Observation{}, nil), "record is not valid")
}
