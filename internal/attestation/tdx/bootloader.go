package tdx

import (
	"crypto/sha512"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// BootLoaderEvent is EV_IPL, the type with which shim and GRUB log what they measure.
const BootLoaderEvent uint32 = 0x0000000d

// commandLine is what GRUB puts before the kernel's command line in its log.
const commandLine = "kernel_cmdline: "

// Text is what an event says in words, when its digest is of these very words:
// anything else in a log is the word of whoever wrote it, who may be the
// machine that is to be judged. GRUB logs the words behind a prefix that it does
// not measure, and a NUL behind them.
func (e Event) Text() (text string, proven bool) {
	text = strings.TrimRight(string(e.Payload), "\x00\n")
	measured := text
	for _, prefix := range []string{commandLine, "grub_cmd: ", "module_cmdline: "} {
		if e.Type == BootLoaderEvent && strings.HasPrefix(text, prefix) {
			measured = strings.TrimPrefix(text, prefix)
		}
	}
	proven = e.Digest == sha512.Sum384(e.Payload) || e.Digest == sha512.Sum384([]byte(measured))
	return text, proven
}

// KernelCommandLine is what GRUB measured into RTMR2, from the one event of it
// that was extended: the kernel's path, then its parameters. The log must have
// been replayed to a verified quote.
func KernelCommandLine(log []Event) (string, error) {
	var found []Event
	for _, e := range log {
		if e.RTMR == 2 && e.Type == BootLoaderEvent && strings.HasPrefix(string(e.Payload), commandLine) {
			found = append(found, e)
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("RTMR2 measures %d kernel command lines, not one", len(found))
	}
	line := strings.TrimSuffix(strings.TrimPrefix(string(found[0].Payload), commandLine), "\x00")
	if found[0].Digest != sha512.Sum384([]byte(line)) {
		return "", errors.New("the event log words the kernel command line otherwise than RTMR2 measured it")
	}
	return line, nil
}

// rootByName is the root file system that GRUB names before the image's own parameters.
var rootByName = regexp.MustCompile(`^root=(UUID|PARTUUID|LABEL|PARTLABEL)=[0-9A-Za-z._-]+$`)

// BootedWith says that the words of a command line behind the kernel's path are
// these parameters, all of them and no more. GRUB may name the root before them,
// with "ro".
func BootedWith(line, parameters string) bool {
	words, want := strings.Fields(line), strings.Fields(parameters)
	if len(words) == 0 || !strings.HasPrefix(words[0], "/") {
		return false
	}
	words = words[1:]
	if slices.Equal(words, want) {
		return true
	}
	return len(words) > 1 && rootByName.MatchString(words[0]) && words[1] == "ro" && slices.Equal(words[2:], want)
}
