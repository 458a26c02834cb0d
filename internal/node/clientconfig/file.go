package clientconfig

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// file is where Config stands in merod's config.toml.
type file struct {
	TEE struct {
		KMS struct {
			Phala Config `toml:"phala" json:"phala"`
		} `toml:"kms" json:"kms"`
	} `toml:"tee" json:"tee"`
}

// JSON is the same file for those who keep their configuration in JSON.
func (c *Config) JSON() ([]byte, error) {
	var f file
	f.TEE.KMS.Phala = *c
	return canonical.Marshal(f)
}

// TOML is the section of merod's config.toml, led by comments, one line each.
func (c *Config) TOML(comments ...string) []byte {
	var b bytes.Buffer
	for _, line := range comments {
		fmt.Fprintf(&b, "# %s\n", strings.ReplaceAll(line, "\n", " "))
	}
	a := c.Attestation
	fmt.Fprintf(&b, "[tee.kms.phala]\nurl = %q\n\n[tee.kms.phala.attestation]\nenabled = %t\naccept_mock = %t\n", c.URL, a.Enabled, a.AcceptMock)
	fmt.Fprintf(&b, "allowed_tcb_statuses = %s\n", array(a.AllowedTCBStatuses))
	for _, r := range []struct {
		name string
		list []tdx.Register
	}{{"mrtd", a.AllowedMRTD}, {"rtmr0", a.AllowedRTMR0}, {"rtmr1", a.AllowedRTMR1}, {"rtmr2", a.AllowedRTMR2}, {"rtmr3", a.AllowedRTMR3}} {
		fmt.Fprintf(&b, "allowed_%s = %s\n", r.name, array(r.list))
	}
	fmt.Fprintf(&b, "allowed_compose_hashes = %s\nbinding_b64 = %q\n", array(a.AllowedComposeHashes), a.BindingB64)
	return b.Bytes()
}

func array[T any](list []T) string {
	quoted := make([]string, len(list))
	for i, v := range list {
		quoted[i] = fmt.Sprintf("%q", fmt.Sprint(v))
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// Decode reads a file that TOML or JSON wrote. Keys it does not know are
// errors: a pin that is misspelt would pin nothing. Its errors have code Usage.
func Decode(data []byte) (*Config, error) {
	if len(data) > canonical.MaxSize {
		return nil, refused("size", fmt.Sprintf("at most %d bytes", canonical.MaxSize), fmt.Sprint(len(data)))
	}
	var f file
	err := decode(data, &f)
	if err != nil {
		return nil, &fault.Error{Code: fault.Usage, Message: "not a client configuration", Err: err,
			Hint: "make one with `go tool mage config:attestation`"}
	}
	c := f.TEE.KMS.Phala
	return &c, c.check()
}

func decode(data []byte, f *file) error {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		return canonical.Unmarshal(data, f)
	}
	meta, err := toml.Decode(string(data), f)
	if err != nil {
		return err
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return fmt.Errorf("unknown key %s", unknown[0])
	}
	return nil
}
