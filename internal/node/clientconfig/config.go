// Package clientconfig is the part of a node's configuration that says which
// key service to believe: merod's [tee.kms.phala], which the agent reads too.
//
// Its promise: a Config holds what one verified release publishes for one
// profile, and a file that says less than that, or allows a mock, is refused.
package clientconfig

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/node/agent"
)

// Config is merod's [tee.kms.phala].
type Config struct {
	URL         string      `toml:"url" json:"url"` // of the key service; https, or http on loopback
	Attestation Attestation `toml:"attestation" json:"attestation"`
}

// Attestation is merod's [tee.kms.phala.attestation].
type Attestation struct {
	Enabled            bool           `toml:"enabled" json:"enabled"`
	AcceptMock         bool           `toml:"accept_mock" json:"accept_mock"`
	AllowedTCBStatuses []string       `toml:"allowed_tcb_statuses" json:"allowed_tcb_statuses"`
	AllowedMRTD        []tdx.Register `toml:"allowed_mrtd" json:"allowed_mrtd"`
	AllowedRTMR0       []tdx.Register `toml:"allowed_rtmr0" json:"allowed_rtmr0"`
	AllowedRTMR1       []tdx.Register `toml:"allowed_rtmr1" json:"allowed_rtmr1"`
	AllowedRTMR2       []tdx.Register `toml:"allowed_rtmr2" json:"allowed_rtmr2"`
	// of one attested instance, or empty
	AllowedRTMR3         []tdx.Register `toml:"allowed_rtmr3" json:"allowed_rtmr3"`
	AllowedComposeHashes []string       `toml:"allowed_compose_hashes" json:"allowed_compose_hashes"` // 64 hex digits each
	BindingB64           string         `toml:"binding_b64" json:"binding_b64"`                       // 32 bytes
}

// New is the configuration for the key service of a release's profile at
// address, with the TCB statuses that the operator allows. RTMR3 is left out:
// dstack measures an instance id into it, so no release can publish it; the
// compose hash, replayed from the event log, says what RTMR3 would.
func New(address string, published measurement.Profile, tcb []string) (*Config, error) {
	binding := wire.DefaultBinding()
	c := &Config{URL: address, Attestation: Attestation{
		Enabled: true, AllowedTCBStatuses: tcb,
		AllowedMRTD: []tdx.Register{published.MRTD}, AllowedRTMR0: []tdx.Register{published.RTMR0},
		AllowedRTMR1: []tdx.Register{published.RTMR1}, AllowedRTMR2: []tdx.Register{published.RTMR2},
		AllowedRTMR3:         []tdx.Register{},
		AllowedComposeHashes: []string{published.Image.ComposeHash.Hex()},
		BindingB64:           base64.StdEncoding.EncodeToString(binding[:]),
	}}
	return c, c.check()
}

// check fails closed: what merod would not enforce is an error of code Usage.
func (c *Config) check() error {
	a := c.Attestation
	if err := checkURL(c.URL); err != nil {
		return err
	}
	if !a.Enabled || a.AcceptMock {
		return refused("attestation", "enabled = true and accept_mock = false",
			fmt.Sprintf("enabled = %t, accept_mock = %t", a.Enabled, a.AcceptMock))
	}
	if len(a.AllowedTCBStatuses) == 0 {
		return refused("allowed_tcb_statuses", "at least one status", "none")
	}
	for name, list := range map[string][]tdx.Register{"allowed_mrtd": a.AllowedMRTD, "allowed_rtmr0": a.AllowedRTMR0,
		"allowed_rtmr1": a.AllowedRTMR1, "allowed_rtmr2": a.AllowedRTMR2} {
		if len(list) != 1 || list[0].IsZero() {
			return refused(name, "the one value of the release", fmt.Sprint(list))
		}
	}
	if _, err := a.composeHash(); err != nil {
		return err
	}
	binding := wire.DefaultBinding()
	if want := base64.StdEncoding.EncodeToString(binding[:]); a.BindingB64 != want {
		return refused("binding_b64", want, a.BindingB64)
	}
	return nil
}

// checkURL takes https; the nonce and the binding protect the quote, but keys come back over this connection.
func checkURL(address string) error {
	const expected = "https://host[:port] of the key service"
	u, err := url.Parse(address)
	if err != nil { // it repeats the address
		return refused("url", expected, "no address")
	}
	if u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == "" {
		if u.Scheme == "https" || u.Scheme == "http" && u.Hostname() == "127.0.0.1" {
			return nil
		}
	}
	got := fmt.Sprintf("%s://%s%s", u.Scheme, u.Host, u.Path)
	if u.User != nil || u.RawQuery != "" { // not repeated: they may open it
		got += ", with credentials or a query"
	}
	return refused("url", expected, got)
}

func refused(name, expected, got string) error {
	return &fault.Error{Code: fault.Usage, Message: "client configuration: " + name, Expected: expected, Got: got}
}

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
	fmt.Fprintf(&b, "[%s]\nurl = %q\n\n[%s.attestation]\n", section, c.URL, section)
	for _, s := range c.Attestation.settings() {
		fmt.Fprintf(&b, "%s = %s\n", s.key, s.value)
	}
	return b.Bytes()
}

// Arguments are the same for `merod config`, each one KEY=VALUE with a value of TOML.
func (c *Config) Arguments() []string {
	out := []string{fmt.Sprintf("%s.url=%q", section, c.URL)}
	for _, s := range c.Attestation.settings() {
		out = append(out, section+".attestation."+s.key+"="+s.value)
	}
	return out
}

const section = "tee.kms.phala"

type setting struct{ key, value string }

func (a Attestation) settings() []setting {
	return []setting{
		{"enabled", fmt.Sprint(a.Enabled)}, {"accept_mock", fmt.Sprint(a.AcceptMock)},
		{"allowed_tcb_statuses", array(a.AllowedTCBStatuses)},
		{"allowed_mrtd", array(a.AllowedMRTD)}, {"allowed_rtmr0", array(a.AllowedRTMR0)},
		{"allowed_rtmr1", array(a.AllowedRTMR1)}, {"allowed_rtmr2", array(a.AllowedRTMR2)},
		{"allowed_rtmr3", array(a.AllowedRTMR3)}, {"allowed_compose_hashes", array(a.AllowedComposeHashes)},
		{"binding_b64", fmt.Sprintf("%q", a.BindingB64)},
	}
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
	return spelt(meta, f)
}

// spelt refuses a key in another case than the struct's, which this decoder takes and merod does not: of accept_mock
// and Accept_Mock merod reads the one, and the other could be read here.
func spelt(meta toml.MetaData, f *file) error {
	data, err := toml.Marshal(f)
	if err != nil {
		return err
	}
	ours, err := toml.Decode(string(data), new(file))
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, key := range ours.Keys() {
		known[key.String()] = true
	}
	for _, key := range meta.Keys() {
		if !known[key.String()] {
			return fmt.Errorf("unknown key %s: keys are in lower case", key)
		}
	}
	return nil
}

// Expectation is what an agent with this configuration demands of the key service.
func (c *Config) Expectation(v *tdx.Verifier) (agent.Expectation, error) {
	if err := c.check(); err != nil {
		return agent.Expectation{}, err
	}
	a := c.Attestation
	hash, err := a.composeHash()
	return agent.Expectation{Verifier: v, TCB: tcb.Since(a.AllowedTCBStatuses),
		TCBFile: "allowed_tcb_statuses of this node's configuration", ComposeHash: hash, RTMR3: a.AllowedRTMR3,
		Registers: tdx.Registers{MRTD: a.AllowedMRTD[0], RTMR0: a.AllowedRTMR0[0], RTMR1: a.AllowedRTMR1[0],
			RTMR2: a.AllowedRTMR2[0]}}, err
}

// Pin adds the RTMR3 of an attested instance.
func (c *Config) Pin(r *agent.KMSReport) {
	c.Attestation.AllowedRTMR3 = []tdx.Register{r.Verdict.Registers.RTMR3}
}

func (a Attestation) composeHash() (hash [32]byte, err error) {
	text := strings.Join(a.AllowedComposeHashes, ", ")
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(hash) || [32]byte(b) == hash || strings.ToLower(text) != text {
		return hash, refused("allowed_compose_hashes", "the one compose hash of the release, 64 lower-case hex digits", text)
	}
	return [32]byte(b), nil
}
