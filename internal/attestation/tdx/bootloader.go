package tdx

import (
	"crypto/sha512"
	"strings"
)

// BootLoaderEvent is EV_IPL, the type with which boot stubs and loaders log what they measure.
const BootLoaderEvent uint32 = 0x0000000d

// Text is what an event says in words, when its digest is of these very words:
// anything else in a log is the word of whoever wrote it, who may be the
// machine that is to be judged. GRUB, which other people's machines boot by,
// logs the words behind a prefix that it does not measure, and a NUL behind them.
func (e Event) Text() (text string, proven bool) {
	text = strings.TrimRight(string(e.Payload), "\x00\n")
	measured := text
	for _, prefix := range []string{"kernel_cmdline: ", "grub_cmd: ", "module_cmdline: "} {
		if e.Type == BootLoaderEvent && strings.HasPrefix(text, prefix) {
			measured = strings.TrimPrefix(text, prefix)
		}
	}
	proven = e.Digest == sha512.Sum384(e.Payload) || e.Digest == sha512.Sum384([]byte(measured))
	return text, proven
}
