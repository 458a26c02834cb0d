package bootchain_test

import (
	"crypto/sha512"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot/bootchain"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

func event(rtmr int, text string) tdx.Event {
	return tdx.Event{RTMR: rtmr, Type: 0xd, Digest: sha512.Sum384([]byte(text)), Payload: []byte("words of " + text)}
}

func register(texts ...string) (r tdx.Register) {
	for _, text := range texts {
		r = r.Extend(sha512.Sum384([]byte(text)))
	}
	return r
}

func TestBoot(t *testing.T) {
	t.Parallel()
	pki, err := tdxsim.NewPKI([]byte("bootchain"))
	require.NoError(t, err)
	platform, err := pki.NewPlatform(1)
	require.NoError(t, err)
	said := []tdx.Event{event(1, "loader"), event(2, "kernel"), event(1, "exit"), event(2, "initrd")}
	td, log, err := bootchain.C3().Boot(platform, said)
	require.NoError(t, err)
	want := tdx.Registers{
		MRTD:  sha512.Sum384([]byte("rehearsal GCP firmware")),
		RTMR0: tdx.Replay(bootchain.C3().Events(), 0),
		RTMR1: register("loader", "exit"),
		RTMR2: register("kernel", "initrd"),
	}
	require.Equal(t, want, td.Registers())
	require.False(t, want.RTMR0.IsZero())
	events, err := tdx.ParseCCEL(log.CCEL())
	require.NoError(t, err)
	for i, r := range []tdx.Register{want.RTMR0, want.RTMR1, want.RTMR2} {
		require.Equal(t, r, tdx.Replay(events, i))
	}
	require.Equal(t, said, events[len(events)-len(said):], "digest and words as they were given")

	_, _, err = bootchain.C3().Boot(platform, []tdx.Event{{RTMR: 4}})
	require.Error(t, err, "there is no such register")
}
