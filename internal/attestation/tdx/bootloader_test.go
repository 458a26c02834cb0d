package tdx_test

import (
	"crypto/sha512"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
)

const parameters = "mero.profile=locked-read-only mero.roothash=aa quiet"

// grub is an event as GRUB logs it: the words behind the prefix are measured, the NUL is not.
func grub(prefix, text string) tdx.Event {
	return tdx.Event{RTMR: 2, Type: tdx.BootLoaderEvent, Digest: sha512.Sum384([]byte(text)),
		Payload: []byte(prefix + text + "\x00")}
}

func TestKernelCommandLine(t *testing.T) {
	t.Parallel()
	const line = "/vmlinuz-6.17 root=UUID=0-1 ro " + parameters
	event := grub("kernel_cmdline: ", line)
	other := event
	other.RTMR = 1
	got, err := tdx.KernelCommandLine([]tdx.Event{grub("grub_cmd: ", "linux "+line), other, event})
	require.NoError(t, err)
	require.Equal(t, line, got)
}

// A tampered image writes the log: each line says what the record wants to hear.
func TestKernelCommandLineIsNotTheLogsWord(t *testing.T) {
	t.Parallel()
	const line = "/vmlinuz-6.17 root=UUID=0-1 ro " + parameters
	evil := grub("kernel_cmdline: ", "/vmlinuz-6.17 root=/dev/sda1 init=/bin/sh")
	honest := grub("kernel_cmdline: ", line)
	swapped, never, typed, whole := evil, honest, honest, honest
	swapped.Payload = honest.Payload
	never.Type = tdx.NoActionEvent
	typed.Type = 6
	whole.Digest = sha512.Sum384(whole.Payload)
	for name, tc := range map[string]struct {
		log  []tdx.Event
		want string
	}{
		"the words of another event":      {[]tdx.Event{swapped}, "otherwise than RTMR2 measured it"},
		"prefix and NUL measured as well": {[]tdx.Event{whole}, "otherwise than RTMR2 measured it"},
		"an event that is never extended": {[]tdx.Event{never}, "0 kernel command lines"},
		"an event of another type":        {[]tdx.Event{typed}, "0 kernel command lines"},
		"two of them":                     {[]tdx.Event{honest, evil}, "2 kernel command lines"},
		"what GRUB was told to echo":      {[]tdx.Event{grub("grub_cmd: ", "echo "+line)}, "0 kernel command lines"},
		"no event at all":                 {nil, "0 kernel command lines"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tdx.KernelCommandLine(tc.log)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestBootedWith(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{
		"/vmlinuz " + parameters:                                 true,
		"/boot/vmlinuz-6.17  root=PARTUUID=a-1 ro " + parameters: true,
		parameters: false,
		"":         false,
		"/vmlinuz": false,
		"/vmlinuz " + parameters + " init=/bin/sh":                      false,
		"/vmlinuz rd.break " + parameters:                               false,
		"/vmlinuz root=UUID=0 ro rd.break " + parameters:                false,
		"/vmlinuz root=/dev/sda1 ro " + parameters:                      false,
		"/vmlinuz root=UUID=0 rw " + parameters:                         false,
		"/vmlinuz root=UUID=0 ro":                                       false,
		`/vmlinuz note="` + parameters + `" init=/bin/sh`:               false,
		"/vmlinuz mero.roothash=aa mero.profile=locked-read-only quiet": false,
	} {
		require.Equal(t, want, tdx.BootedWith(line, parameters), line)
	}
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
