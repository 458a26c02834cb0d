package tdx_test

import (
	"crypto/sha512"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
)

// grub is an event as GRUB logs it: the words behind the prefix are measured, the NUL is not.
func grub(prefix, text string) tdx.Event {
	return tdx.Event{RTMR: 2, Type: tdx.BootLoaderEvent, Digest: sha512.Sum384([]byte(text)),
		Payload: []byte(prefix + text + "\x00")}
}

func TestTextIsProvenOrNot(t *testing.T) {
	t.Parallel()
	plain := tdx.Event{RTMR: 1, Type: 4, Digest: sha512.Sum384([]byte("Calling")), Payload: []byte("Calling")}
	command := grub("grub_cmd: ", "set x=1")
	for _, e := range []tdx.Event{plain, command} {
		_, proven := e.Text()
		require.True(t, proven)
		e.Payload = append(e.Payload[:len(e.Payload)-2:len(e.Payload)-2], 'x')
		_, proven = e.Text()
		require.False(t, proven)
	}
	text, _ := command.Text()
	require.Equal(t, "grub_cmd: set x=1", text)
	command.Type = 4
	_, proven := command.Text()
	require.False(t, proven, "only GRUB leaves its prefix unmeasured")
}
