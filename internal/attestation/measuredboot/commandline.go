package measuredboot

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// word is a parameter that a command line may have, once.
type word struct {
	key, value string // a regular expression of the whole value
	need       bool
}

const partUUID = `PARTUUID=[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`

// words are all parameters that are known not to open a way in. What is needed
// closes one: the variables of firmware, the host's credentials, a shell.
func words() []word {
	return []word{
		{"roothash", `[0-9a-f]{64}`, true},
		{"systemd.verity_root_data", partUUID, true},
		{"systemd.verity_root_hash", partUUID, true},
		// Without it a changed block is one that cannot be read, and no more; records demand it.
		{"systemd.verity_root_options", `panic-on-corruption`, false},
		{"ro", ``, true},
		{"systemd.gpt_auto", `0`, true},
		{"efi", `noruntime`, true},
		{"panic", `[1-9][0-9]?`, true},
		{"systemd.import_credentials", `no`, true},
		{"rd.shell", `0`, true},
		{"rd.emergency", `reboot`, true},
		{"mero.profile", `[a-z][a-z-]{0,31}`, true},
		{"mero.content", `[0-9a-f]{64}`, true},
		{"systemd.volatile", `overlay|state`, false},
		{"console", `ttyS0,115200|tty0`, false},
		{"quiet", ``, false},
		{"loglevel", `[0-7]`, false},
		{"systemd.show_status", `0`, false},
	}
}

// parseCommandLine takes a command line apart: each word is known and there
// once, and what is needed is there.
func parseCommandLine(line string) (map[string]string, error) {
	known := map[string]word{}
	for _, w := range words() {
		known[w.key] = w
	}
	found := map[string]string{}
	for _, text := range strings.Split(line, " ") {
		key, value, assigned := strings.Cut(text, "=")
		w, ok := known[key]
		if !ok {
			return nil, refusal("the command line has a word that is not known to be harmless: %.80q", text)
		}
		if _, twice := found[key]; twice {
			return nil, refusal("the command line has a word twice: %.80q", key)
		}
		if assigned != (w.value != "") || !regexp.MustCompile(`^(`+w.value+`)$`).MatchString(value) {
			return nil, fault.Mismatch(fmt.Sprintf("the command line's word %.80q has another value", key), w.value,
				fmt.Sprintf("%.80q", text))
		}
		found[key] = value
	}
	for _, w := range words() {
		if _, ok := found[w.key]; w.need && !ok {
			return nil, refusal("the command line is without %s", w.key)
		}
	}
	return found, nil
}

// rootHash is the hash that a command line names.
func rootHash(words map[string]string) (d digest.Digest, err error) {
	_, err = hex.Decode(d[:], []byte(words["roothash"]))
	return d, err
}
