package measuredboot

import (
	"bytes"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// types are TCG's names of the types of events that a boot has.
func types() map[uint32]string {
	return map[uint32]string{
		tdx.SeparatorEvent:   separatorType,
		tdx.TagEvent:         tagType,
		tdx.BootLoaderEvent:  iplType,
		tdx.ApplicationEvent: applicationType,
		tdx.PartitionsEvent:  gptType,
		tdx.ActionEvent:      actionType,
	}
}

// Judge says whether a log's events of RTMR1 and RTMR2 are exactly these: what
// is missing, added, moved, doubled or unknown is named. Nothing else of the log
// is looked at. The log must have been replayed to the registers of a verified quote.
func (b *Boot) Judge(log []tdx.Event) error {
	if err := judge("RTMR1", b.RTMR1, events(log, 1)); err != nil {
		return err
	}
	err := judge("RTMR2", b.RTMR2, events(log, 2))
	var f *fault.Error
	if errors.As(err, &f) && judge("RTMR2", append(slices.Clone(b.RTMR2), b.KernelEvents...), events(log, 2)) == nil {
		f.Hint = "the kernel measured into RTMR2, which it does where firmware shows it no TPM: run the VM with a vTPM"
	}
	return err
}

// JudgeTPM is Judge for a log of a TPM's PCRs, as ParseTPM reads it: the
// kernel's own events are in it.
func (b *Boot) JudgeTPM(log []tdx.Event) error {
	if err := judge("PCR 2 to 6", b.RTMR1, events(log, 1)); err != nil {
		return err
	}
	return judge("PCR 8 to 15", append(slices.Clone(b.RTMR2), b.KernelEvents...), events(log, 2))
}

// events are those that extended a register.
func events(log []tdx.Event, rtmr int) (out []tdx.Event) {
	for _, e := range log {
		if e.RTMR == rtmr && e.Type != tdx.NoActionEvent {
			out = append(out, e)
		}
	}
	return out
}

// observed is a log's event in our words. Its words are those of the
// prediction where its digest is, and else only its digest and its place.
type observed struct {
	kind   string
	digest tdx.Register
	place  int // from 1
}

func judge(register string, want []Event, log []tdx.Event) error {
	got := make([]observed, len(log))
	separators := 0
	for i, e := range log {
		kind, ok := types()[e.Type]
		if !ok {
			return fault.Mismatch(fmt.Sprintf("event %d of %s is of a type that is not known", i+1, register),
				"an event of a boot", fmt.Sprintf("type 0x%08x, digest %s", e.Type, e.Digest))
		}
		if kind == separatorType {
			separators++
		}
		if separators > 1 {
			return fault.Mismatch(fmt.Sprintf("event %d of %s is a second separator", i+1, register), "one separator",
				fmt.Sprint(separators))
		}
		if err := checkPayload(register, i, kind, e); err != nil {
			return err
		}
		got[i] = observed{kind: kind, digest: e.Digest, place: i + 1}
	}
	return compare(register, want, got)
}

// checkPayload demands of an event whose payload is what is measured that it is.
func checkPayload(register string, i int, kind string, e tdx.Event) error {
	switch kind {
	case separatorType, actionType, gptType:
	default:
		return nil // the payload is the log's own word, and not looked at
	}
	if sum := tdx.Register(sha512.Sum384(e.Payload)); sum != e.Digest {
		return fault.Mismatch(fmt.Sprintf("event %d of %s, %s, has a payload that is not of its digest", i+1, register, kind),
			e.Digest.String(), sum.String())
	}
	return nil
}

// compare finds the first difference and says what it is: of the events that
// are there too often, too rarely, and else in another order.
func compare(register string, want []Event, got []observed) error {
	count := map[Event]int{}
	bare := func(kind string, d tdx.Register) Event { return Event{Type: kind, Digest: d} }
	for _, e := range want {
		count[bare(e.Type, e.Digest)]++
	}
	var missing, added, doubled []string
	for _, o := range got {
		key := bare(o.kind, o.digest)
		if count[key]--; count[key] >= 0 {
			continue
		}
		text := fmt.Sprintf("event %d, %s, digest %s", o.place, o.kind, o.digest)
		if i := slices.IndexFunc(want, func(e Event) bool { return bare(e.Type, e.Digest) == key }); i >= 0 {
			doubled = append(doubled, fmt.Sprintf("event %d, %s", o.place, want[i].text()))
			continue
		}
		added = append(added, text)
	}
	for _, e := range want {
		if key := bare(e.Type, e.Digest); count[key] > 0 {
			count[key]--
			missing = append(missing, e.text())
		}
	}
	return difference(register, want, got, missing, added, doubled)
}

func (e Event) text() string { return fmt.Sprintf("%s (%s, digest %s)", e.Words, e.Type, e.Digest) }

func difference(register string, want []Event, got []observed, missing, added, doubled []string) error {
	list := func(s []string) string { return strings.Join(s, "; ") }
	switch {
	case len(doubled) > 0:
		return fault.Mismatch("the log has events of "+register+" twice", "each once", list(doubled))
	case len(missing) > 0 && len(added) > 0:
		return fault.Mismatch("the log has other events of "+register+" than the disk makes", list(missing), list(added))
	case len(missing) > 0:
		return fault.Mismatch("the log is without events of "+register, list(missing),
			fmt.Sprintf("%d events of %d", len(got), len(want)))
	case len(added) > 0:
		return fault.Mismatch("the log has events of "+register+" that the disk does not make", fmt.Sprintf("%d events",
			len(want)), list(added))
	}
	for i, e := range want {
		if e.Digest == got[i].digest && e.Type == got[i].kind {
			continue
		}
		was := slices.IndexFunc(want, func(e Event) bool { return e.Digest == got[i].digest && e.Type == got[i].kind })
		return fault.Mismatch(fmt.Sprintf("the log has event %d of %s in another place", i+1, register), e.text(),
			want[was].text())
	}
	return nil
}

// Check says whether a Boot that was read from a record has the form that Open
// gives, and whether the digests that its own words determine are right.
func (b *Boot) Check() error {
	if b.UKI.IsZero() || b.Kernel.IsZero() || b.Initrd.IsZero() {
		return refusal("a measured boot is without the digest of UKI, kernel or initrd")
	}
	if err := checkOSRelease(b.OSRelease); err != nil {
		return err
	}
	words, err := parseCommandLine(b.CommandLine)
	if err != nil {
		return err
	}
	root, err := rootHash(words)
	if err != nil {
		return err
	}
	if root != b.RootHash {
		return fault.Mismatch("a measured boot has another root hash than its command line", root.String(),
			b.RootHash.String())
	}
	if err := b.checkGPT(words); err != nil {
		return err
	}
	if err := matches("RTMR1", firmwareEvents(b.GPT), b.RTMR1); err != nil {
		return err
	}
	texts := map[string]string{".cmdline": b.CommandLine, ".osrel": b.OSRelease}
	var form []Event
	for _, name := range measuredSections() {
		if optional(name) && !slices.ContainsFunc(b.RTMR2, func(e Event) bool { return e.Words == name }) {
			continue
		}
		content := Event{Type: iplType, Words: name}
		if text, ok := texts[name]; ok {
			content.Digest = sha512.Sum384([]byte(text))
		}
		form = append(form, nameEvent(name), content)
	}
	if err := matches("RTMR2", form, b.RTMR2); err != nil {
		return err
	}
	return matches("the kernel", kernelEvents(b.CommandLine), b.KernelEvents)
}

// checkGPT reads the partition table as firmware measured it.
func (b *Boot) checkGPT(words map[string]string) error {
	const size = headerSize + 8 + 3*entrySize
	if len(b.GPT) != size || binary.LittleEndian.Uint64(b.GPT[headerSize:]) != 3 {
		return fault.Mismatch("a measured boot has no partition table of three partitions", fmt.Sprintf("%d bytes", size),
			fmt.Sprintf("%d bytes", len(b.GPT)))
	}
	t := &table{}
	for i := range t.partitions {
		t.partitions[i] = readEntry(b.GPT[headerSize+8+i*entrySize:][:entrySize])
	}
	if err := t.check(binary.LittleEndian.Uint64(b.GPT[32:])); err != nil {
		return err
	}
	return checkRoots(words, t.partitions)
}

// matches compares events with a form, in which a digest that is not determined is zero.
func matches(register string, form, got []Event) error {
	if len(form) != len(got) {
		return fault.Mismatch("a measured boot has another number of events of "+register, fmt.Sprint(len(form)),
			fmt.Sprint(len(got)))
	}
	for i, want := range form {
		e := got[i]
		if want.Digest.IsZero() {
			want.Digest = e.Digest
		}
		if e != want || e.Digest.IsZero() {
			return fault.Mismatch(fmt.Sprintf("a measured boot has another event %d of %s", i+1, register), want.text(),
				e.text())
		}
	}
	return nil
}

// Log is these events as Compute Engine's firmware logs them, those of RTMR1 and
// of RTMR2 in the order of time.
func (b *Boot) Log() []tdx.Event {
	var out []tdx.Event
	add := func(rtmr int, e Event) {
		out = append(out, tdx.Event{RTMR: rtmr, Type: number(e.Type), Digest: e.Digest, Payload: b.payload(e)})
	}
	before := min(ukiEvent+1, len(b.RTMR1))
	for _, e := range b.RTMR1[:before] {
		add(1, e)
	}
	for _, e := range b.RTMR2 {
		add(2, e)
	}
	for _, e := range b.RTMR1[before:] {
		add(1, e)
	}
	return out
}

func number(kind string) uint32 {
	for n, name := range types() {
		if name == kind {
			return n
		}
	}
	return tdx.NoActionEvent // no event of ours
}

// payload is what firmware, stub and kernel write behind a digest.
func (b *Boot) payload(e Event) []byte {
	switch e.Type {
	case separatorType:
		return zeros()
	case gptType:
		return bytes.Clone(b.GPT)
	case applicationType:
		return loadEvent(`\EFI\BOOT\BOOTX64.EFI`)
	case iplType:
		name, _, _ := strings.Cut(e.Words, ",")
		return wide(name)
	case tagType:
		id := uint32(0x8f3b22ec) // INITRD_EVENT_TAG_ID; the load options' is one more
		if e.Words == optionsWords {
			id++
		}
		tag := binary.LittleEndian.AppendUint32(nil, id)
		tag = binary.LittleEndian.AppendUint32(tag, uint32(len(e.Words)+1)) //nolint:gosec // our own words
		return append(append(tag, e.Words...), 0)
	}
	return []byte(e.Words)
}

// wide is UTF-16 with a NUL.
func wide(text string) []byte { return tdx.UTF16(text + "\x00") }

// loadEvent is UEFI_IMAGE_LOAD_EVENT of a file: no address, no length, a device
// path of the file's name. None of it is measured.
func loadEvent(path string) []byte {
	name := wide(path)
	node := binary.LittleEndian.AppendUint16([]byte{4, 4}, uint16(4+len(name))) //nolint:gosec // our own path
	node = append(append(node, name...), 0x7f, 0xff, 4, 0)
	out := binary.LittleEndian.AppendUint64(make([]byte, 24), uint64(len(node)))
	return append(out, node...)
}
