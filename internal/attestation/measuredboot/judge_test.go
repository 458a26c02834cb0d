package measuredboot_test

import (
	"bytes"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot"
	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot/disktest"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// Types of events that are no event of a boot, and some that are.
const (
	noAction    = 0x00000003
	separator   = 0x00000004
	ipl         = 0x0000000d
	application = 0x80000003
	variable    = 0x80000001
)

func event(rtmr int, kind uint32, measured, payload string) tdx.Event {
	return tdx.Event{RTMR: rtmr, Type: kind, Digest: sha512.Sum384([]byte(measured)), Payload: []byte(payload)}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	b := opened(t, disktest.Spec{}).Boot()
	zeros := "\x00\x00\x00\x00"
	// The log has RTMR1's first four events, RTMR2's ten, RTMR1's last two.
	for name, tc := range map[string]struct {
		change                func([]tdx.Event) []tdx.Event
		want, wanted, wantGot string
	}{
		"itself": {func(l []tdx.Event) []tdx.Event { return l }, "", "", ""},
		"registers that are not ours": {func(l []tdx.Event) []tdx.Event {
			return append(l, event(-1, variable, "a", ""), event(0, variable, "b", ""), event(3, ipl, "c", "d"))
		}, "", "", ""},
		"what is not extended": {func(l []tdx.Event) []tdx.Event {
			return append(l, event(1, noAction, "a", ""))
		}, "", "", ""},
		"words that are not looked": {func(l []tdx.Event) []tdx.Event {
			l[4].Payload = []byte("another")
			return l
		}, "", "", ""},
		"missing": {func(l []tdx.Event) []tdx.Event { return slices.Delete(l, 3, 4) }, "is without events of RTMR1",
			"UKI, Authenticode", "5 events of 6"},
		"missing section": {func(l []tdx.Event) []tdx.Event { return slices.Delete(l, 8, 10) }, "is without events of RTMR2",
			".cmdline, name", "8 events of 10"},
		"nothing": {func([]tdx.Event) []tdx.Event { return nil }, "is without events of RTMR1", "separator", "0 events of 6"},
		"added": {func(l []tdx.Event) []tdx.Event { return append(l, event(1, application, "a driver", "")) },
			"RTMR1 that the disk does not make", "6 events", "event 7, EV_EFI_BOOT_SERVICES_APPLICATION"},
		"load options": {func(l []tdx.Event) []tdx.Event {
			return slices.Insert(l, 14, event(2, ipl, "i\x00n\x00", "i\x00n\x00"))
		},
			"RTMR2 that the disk does not make", "10 events", "event 11, EV_IPL"},
		"another": {func(l []tdx.Event) []tdx.Event { l[5] = event(2, ipl, "another kernel", ".\x00l\x00"); return l },
			"has other events of RTMR2", ".linux (EV_IPL", "event 2, EV_IPL"},
		"another type": {func(l []tdx.Event) []tdx.Event { l[3].Type = ipl; return l }, "has other events of RTMR1",
			"UKI, Authenticode", "event 4, EV_IPL"},
		"moved": {func(l []tdx.Event) []tdx.Event { l[2], l[3] = l[3], l[2]; return l }, "event 3 of RTMR1 in another place",
			"partition table", "UKI, Authenticode"},
		"moved sections": {func(l []tdx.Event) []tdx.Event {
			return slices.Concat(l[:4], l[6:8], l[4:6], l[8:])
		}, "event 1 of RTMR2 in another place", ".linux, name", ".osrel, name"},
		"doubled": {func(l []tdx.Event) []tdx.Event { return slices.Insert(l, 5, l[4]) }, "has events of RTMR2 twice",
			"each once",
			"event 2, .linux, name"},
		"a second separator": {func(l []tdx.Event) []tdx.Event { return append(l, event(1, separator, zeros, zeros)) },
			"event 7 of RTMR1 is a second separator", "one separator", "2"},
		"a separator of an error": {func(l []tdx.Event) []tdx.Event {
			l[1] = event(1, separator, "\x01\x00\x00\x00", "\x01\x00\x00\x00")
			return l
		}, "has other events of RTMR1", "separator", "event 2, EV_SEPARATOR"},
		"an unknown type": {func(l []tdx.Event) []tdx.Event { return append(l, event(2, 0x80000099, "a", "a")) },
			"event 11 of RTMR2 is of a type that is not known", "an event of a boot", "type 0x80000099"},
		"a variable": {func(l []tdx.Event) []tdx.Event { return append(l, event(1, variable, "a", "a")) },
			"event 7 of RTMR1 is of a type that is not known", "an event of a boot", "type 0x80000001"},
		"a payload that is not of its digest": {func(l []tdx.Event) []tdx.Event {
			l[0].Payload = []byte("Calling something else")
			return l
		},
			"event 1 of RTMR1, EV_EFI_ACTION, has a payload that is not of its digest", "77a0dab2", ""},
		"a table that is not of its digest": {func(l []tdx.Event) []tdx.Event { l[2].Payload[100]++; return l },
			"event 3 of RTMR1, EV_EFI_GPT_EVENT, has a payload", "", ""},
	} {
		err := b.Judge(tc.change(b.Log()))
		if tc.want == "" {
			require.NoError(t, err, name)
			continue
		}
		var f *fault.Error
		require.ErrorAs(t, err, &f, name)
		require.Equal(t, fault.Verification, f.Code)
		require.Contains(t, f.Message, tc.want, name)
		require.Contains(t, f.Expected, tc.wanted, name)
		require.Contains(t, f.Got, tc.wantGot, name)
		require.NotContains(t, f.Error()+f.Expected+f.Got, "Calling something else", "a log's own words are not shown")
	}
}

// A machine whose firmware shows the kernel no TPM is told apart from a disk that makes other events.
func TestJudgeOfAMachineWithoutTPM(t *testing.T) {
	t.Parallel()
	raw, err := measuredboot.ParseTPM(realLog(t))
	require.NoError(t, err)
	var f *fault.Error
	require.ErrorAs(t, realBoot(t).Judge(raw), &f)
	require.Contains(t, f.Hint, "run the VM with a vTPM")
	require.ErrorAs(t, realBoot(t).Judge(append(raw, event(2, ipl, "a", "a"))), &f)
	require.Empty(t, f.Hint)
	require.Empty(t, (&measuredboot.Boot{}).Log(), "what was not checked has no events, and harms nobody")
}

func realLog(t *testing.T) []byte {
	t.Helper()
	raw, err := os.ReadFile("testdata/qemu-tpm.bin")
	require.NoError(t, err)
	return raw
}

func TestParseTPM(t *testing.T) {
	t.Parallel()
	raw := realLog(t)
	log, err := measuredboot.ParseTPM(raw)
	require.NoError(t, err)
	count := map[int]int{}
	for _, e := range log {
		count[e.RTMR]++
	}
	require.Equal(t, 6, count[1])
	require.Equal(t, 12, count[2])
	put32 := binary.LittleEndian.PutUint32
	header := 32 + int(binary.LittleEndian.Uint32(raw[28:]))
	for name, tc := range map[string]struct {
		change func([]byte) []byte
		want   string
	}{
		"empty":      {func([]byte) []byte { return nil }, "does not open with a Spec ID event"},
		"cut":        {func(b []byte) []byte { return b[:len(b)-1] }, "cannot be read: event"},
		"no spec":    {func(b []byte) []byte { b[32] = 'X'; return b }, "does not open with a Spec ID event"},
		"many banks": {func(b []byte) []byte { put32(b[32+24:], 99); return b }, "does not open with a Spec ID event"},
		"PCR 16":     {func(b []byte) []byte { put32(b[header:], 16); return b }, "an event of PCR 16"},
		"one bank": {func(b []byte) []byte {
			return slices.Concat(b[:28], []byte{33, 0, 0, 0}, b[32:56], []byte{1, 0, 0, 0, 4, 0, 20, 0, 0}, // SHA-1 alone
				make([]byte, 8), []byte{1, 0, 0, 0, 4, 0}, make([]byte, 20), make([]byte, 4))
		}, "the bank is off"},
		"large": {func([]byte) []byte { return make([]byte, 1<<20+1) }, "is large"},
	} {
		_, err := measuredboot.ParseTPM(tc.change(bytes.Clone(raw)))
		require.ErrorContains(t, err, tc.want, name)
	}
}

// A PCR's second separator stays in the log, and is refused.
func TestSecondSeparatorOfAPCR(t *testing.T) {
	t.Parallel()
	raw := realLog(t)
	// PCR 4, EV_SEPARATOR, three banks.
	at := bytes.LastIndex(raw, []byte("\x04\x00\x00\x00\x04\x00\x00\x00\x03\x00\x00\x00"))
	require.Positive(t, at)
	size := 12 + 2 + 20 + 2 + 32 + 2 + 48 + 4 + 4
	log, err := measuredboot.ParseTPM(append(bytes.Clone(raw), raw[at:at+size]...))
	require.NoError(t, err)
	err = opened(t, disktest.Spec{}).Boot().JudgeTPM(log)
	require.ErrorContains(t, err, "is a second separator")
}

// shared is a log of other people's hardware beside the repository.
func shared(t *testing.T, name string) []tdx.Event {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("../../..", "../shared/testdata/ccel", name))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("../shared/testdata is not beside the repository")
	}
	require.NoError(t, err)
	log, err := tdx.ParseCCEL(raw)
	require.NoError(t, err)
	return log
}

// asOurs is our boot with the digests that only a disk determines taken from a log.
func asOurs(t *testing.T, log []tdx.Event) *measuredboot.Boot {
	t.Helper()
	b := opened(t, disktest.Spec{}).Boot()
	for _, e := range log {
		if e.RTMR == 1 && e.Type == 0x80000006 {
			b.RTMR1[2].Digest = e.Digest
		}
	}
	i := slices.IndexFunc(log, func(e tdx.Event) bool { return e.Type == application })
	b.RTMR1[3].Digest = log[i].Digest
	return b
}

// Compute Engine's TDX machines with a unified kernel image log as we predict it: one separator in RTMR1, pairs of
// name and content in RTMR2 in our order, and nothing of the kernel's own: it measures into the vTPM. The kernel's
// name in .uname is of one that would measure into RTMR2 if there were none. The stub of 257 lets firmware measure
// the kernel too.
func TestComputeEngineLogWithSections(t *testing.T) {
	t.Parallel()
	log := shared(t, "CCEL_data_grub_gke.bin")
	b := asOurs(t, log)
	kernel := measuredboot.Event{Type: "EV_EFI_BOOT_SERVICES_APPLICATION", Words: "kernel, Authenticode"}
	var sections []measuredboot.Event
	for i, e := range log {
		switch {
		case e.RTMR == 1 && e.Type == application && e.Digest != b.RTMR1[3].Digest:
			kernel.Digest = e.Digest
		case e.RTMR == 2:
			require.Equal(t, uint32(ipl), e.Type, "event %d", i)
			sections = append(sections, measuredboot.Event{Type: "EV_IPL", Digest: e.Digest})
		}
	}
	for i, name := range []string{".linux", ".osrel", ".cmdline", ".initrd", ".uname", ".sbat"} {
		require.Equal(t, tdx.Register(sha512.Sum384([]byte(name+"\x00"))), sections[2*i].Digest, name)
	}
	require.Len(t, sections, 12)
	require.Equal(t, tdx.Register(sha512.Sum384([]byte("6.14.6-200.fc41.x86_64"))), sections[9].Digest)
	b.RTMR1, b.RTMR2 = slices.Insert(b.RTMR1, 4, kernel), sections
	require.NoError(t, b.Judge(log))
	require.ErrorContains(t, asOurs(t, log).Judge(log), "RTMR1 that the disk does not make")
}

// The same with a stub that does not know the protocol: RTMR2 is zero.
func TestComputeEngineLogWithoutSections(t *testing.T) {
	t.Parallel()
	log := shared(t, "CCEL_data_gcp.bin")
	b := asOurs(t, log)
	i := slices.IndexFunc(log, func(e tdx.Event) bool { return e.Type == application && e.Digest != b.RTMR1[3].Digest })
	kernel := measuredboot.Event{Type: "EV_EFI_BOOT_SERVICES_APPLICATION", Digest: log[i].Digest}
	b.RTMR1 = slices.Insert(b.RTMR1, 4, kernel)
	require.ErrorContains(t, b.Judge(log), "is without events of RTMR2")
	b.RTMR2 = nil
	require.NoError(t, b.Judge(log))
	_, rtmr2 := b.Registers()
	require.True(t, rtmr2.IsZero())
}

// A machine without a TPM: the kernel measures into RTMR2.
func TestLogOfAMachineWithoutTPM(t *testing.T) {
	t.Parallel()
	tags := 0
	for _, e := range shared(t, "CCEL_data_grub.bin") {
		if e.RTMR == 2 && e.Type == 0x00000006 {
			tags++
		}
	}
	require.Equal(t, 2, tags)
}

// go-eventlog's own forgery of a log of Compute Engine: RTMR1's separator became a second one of RTMR0.
func TestForgedSeparator(t *testing.T) {
	t.Parallel()
	log := shared(t, "cos-113-intel-tdx-dupe-separator.bin")
	var f *fault.Error
	require.ErrorAs(t, asOurs(t, log).Judge(log), &f)
	require.Contains(t, f.Message, "other events of RTMR1")
	require.Contains(t, f.Expected, "separator (EV_SEPARATOR")
}
