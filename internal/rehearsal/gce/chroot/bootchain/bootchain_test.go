package bootchain_test

import (
	"crypto/sha512"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot/bootchain"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

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
	td, log, err := bootchain.Events{{Text: "shape"}, {RTMR: 1, Text: "loader"}, {RTMR: 2, Text: "kernel"},
		bootchain.CommandLine("one two")}.Boot(platform)
	require.NoError(t, err)
	want := tdx.Registers{
		MRTD:  sha512.Sum384([]byte("rehearsal GCP firmware")),
		RTMR0: register("shape"),
		RTMR1: register("loader"),
		RTMR2: register("kernel", "/vmlinuz root=UUID=6d65726f-7465-6500-0000-72656865617273 ro one two"),
	}
	require.Equal(t, want, td.Registers())
	events, err := tdx.ParseCCEL(log.CCEL())
	require.NoError(t, err)
	for i, r := range []tdx.Register{want.RTMR0, want.RTMR1, want.RTMR2} {
		require.Equal(t, r, tdx.Replay(events, i))
	}
	require.Equal(t, "kernel_cmdline: /vmlinuz root=UUID=6d65726f-7465-6500-0000-72656865617273 ro one two\x00",
		string(events[len(events)-1].Payload), "GRUB measures neither the prefix nor the NUL")
	require.Equal(t, uint32(0xd), events[0].Type, "EV_IPL")

	_, _, err = bootchain.Events{{RTMR: 4}}.Boot(platform)
	require.Error(t, err, "there is no such register")
}
