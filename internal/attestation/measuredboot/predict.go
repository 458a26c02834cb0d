package measuredboot

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"io"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/osrelease"
)

// Types of events, by TCG's names.
const (
	separatorType   = "EV_SEPARATOR"
	actionType      = "EV_EFI_ACTION"
	gptType         = "EV_EFI_GPT_EVENT"
	applicationType = "EV_EFI_BOOT_SERVICES_APPLICATION"
	iplType         = "EV_IPL"
	tagType         = "EV_EVENT_TAG"
)

// Texts that firmware measures, and what events are called.
const (
	callingText  = "Calling EFI Application from Boot Option"
	exitText     = "Exit Boot Services Invocation"
	exitedText   = "Exit Boot Services Returned with Success"
	gptWords     = "partition table"
	ukiWords     = "UKI, Authenticode"
	optionsWords = "LOADED_IMAGE::LoadOptions"
	initrdWords  = "Linux initrd"
)

// zeros is what a separator measures.
func zeros() []byte { return make([]byte, 4) }

func known(kind, words string, measured []byte) Event {
	return Event{Type: kind, Words: words, Digest: sha512.Sum384(measured)}
}

// firmwareEvents are RTMR1's, without the digest of the image. Firmware of a TD separates each register once. The
// stub of systemd 259 starts the kernel by itself, so that firmware does not
// measure the kernel; it would with Secure Boot and shim, which are not there.
func firmwareEvents(gpt []byte) []Event {
	return []Event{
		known(actionType, callingText, []byte(callingText)),
		known(separatorType, "separator", zeros()),
		known(gptType, gptWords, gpt),
		{Type: applicationType, Words: ukiWords},
		known(actionType, exitText, []byte(exitText)),
		known(actionType, exitedText, []byte(exitedText)),
	}
}

// nameEvent is a section's first event: its name is measured, with a NUL.
func nameEvent(section string) Event { return known(iplType, section+", name", []byte(section+"\x00")) }

// predict gives the events of a boot of this image. Its digests are taken side by side.
func predict(p *program, gpt []byte, line string, root digest.Digest) (*Boot, error) {
	osrel, err := p.text(".osrel")
	if err != nil {
		return nil, err
	}
	if err := checkOSRelease(string(osrel)); err != nil {
		return nil, err
	}
	b := &Boot{CommandLine: line, OSRelease: string(osrel), RootHash: root, GPT: gpt, RTMR1: firmwareEvents(gpt),
		RTMR2: sectionEvents(p), KernelEvents: kernelEvents(line)}
	ramdisk, _ := p.section(".initrd")
	linux, _ := p.section(".linux")
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	g.Go(func() error { return extended(&b.RTMR1[ukiEvent].Digest, sha512.New384(), p.authenticode()...) })
	for i := 1; i < len(b.RTMR2); i += 2 { // a section's content is behind its name
		s, _ := p.section(b.RTMR2[i].Words)
		g.Go(func() error {
			h := sha512.New384()
			if err := extended(&b.RTMR2[i].Digest, h, p.content(s)); err != nil || s.name != ramdisk.name {
				return err
			}
			// The kernel measures the same with what the stub appended to it.
			padding := make([]byte, -s.occupied&3)
			return extended(&b.KernelEvents[initrdEvent].Digest, h, bytes.NewReader(append(padding, archive(osrel)...)))
		})
	}
	recorded(&g, &b.UKI, io.NewSectionReader(p.file, 0, p.file.Size()))
	recorded(&g, &b.Kernel, p.content(linux))
	recorded(&g, &b.Initrd, p.content(ramdisk))
	return b, g.Wait()
}

// checkOSRelease refuses an os-release that two readers may read as two systems.
func checkOSRelease(text string) error {
	if _, err := osrelease.Parse(text); err != nil {
		return &fault.Error{Code: fault.Verification, Message: "os-release in BOOTX64.EFI", Err: err}
	}
	return nil
}

// Where an event is in RTMR1 and among the kernel's.
const ukiEvent, initrdEvent = 3, 1

// sectionEvents are RTMR2's: of each section its name, then its content.
func sectionEvents(p *program) (out []Event) {
	for _, name := range measuredSections() {
		if _, ok := p.section(name); ok {
			out = append(out, nameEvent(name), Event{Type: iplType, Words: name})
		}
	}
	return out
}

func kernelEvents(line string) []Event {
	return []Event{known(tagType, optionsWords, wide(line)), {Type: tagType, Words: initrdWords}}
}

// piece is how much is read at a time, in bytes.
const piece = 1 << 20

// extended digests more of what h has begun.
func extended(d *tdx.Register, h hash.Hash, parts ...io.Reader) error {
	for _, part := range parts {
		if err := feed(h, part); err != nil {
			return err
		}
	}
	*d = tdx.Register(h.Sum(nil))
	return nil
}

func recorded(g *errgroup.Group, d *digest.Digest, r io.Reader) {
	g.Go(func() error {
		h := sha256.New()
		err := feed(h, r)
		*d = digest.Digest(h.Sum(nil))
		return err
	})
}

func feed(h hash.Hash, r io.Reader) error {
	// Without WriterTo, which some readers have and which reads in small pieces.
	if _, err := io.CopyBuffer(h, struct{ io.Reader }{r}, make([]byte, piece)); err != nil {
		return &fault.Error{Code: fault.Verification, Message: "cannot read BOOTX64.EFI", Err: err}
	}
	return nil
}
