// Package clientconfig is the part of a node's configuration that says which
// key service to believe: merod's [tee.kms.phala], which the agent reads too.
//
// Its promise: a Config holds what one verified release publishes for one
// profile, and a file that says less than that, or allows a mock, is refused.
package clientconfig

import (
	"encoding/base64"
	"fmt"
	"net/url"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
)

// Config is merod's [tee.kms.phala].
type Config struct {
	URL         string      `toml:"url" json:"url"` // of the key service; https, or http on loopback
	Attestation Attestation `toml:"attestation" json:"attestation"`
}

// Attestation is merod's [tee.kms.phala.attestation].
type Attestation struct {
	Enabled              bool           `toml:"enabled" json:"enabled"`
	AcceptMock           bool           `toml:"accept_mock" json:"accept_mock"`
	AllowedTCBStatuses   []string       `toml:"allowed_tcb_statuses" json:"allowed_tcb_statuses"`
	AllowedMRTD          []tdx.Register `toml:"allowed_mrtd" json:"allowed_mrtd"`
	AllowedRTMR0         []tdx.Register `toml:"allowed_rtmr0" json:"allowed_rtmr0"`
	AllowedRTMR1         []tdx.Register `toml:"allowed_rtmr1" json:"allowed_rtmr1"`
	AllowedRTMR2         []tdx.Register `toml:"allowed_rtmr2" json:"allowed_rtmr2"`
	AllowedRTMR3         []tdx.Register `toml:"allowed_rtmr3" json:"allowed_rtmr3"`                   // of one attested instance, or empty
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
		return refused("attestation", "enabled = true and accept_mock = false", fmt.Sprintf("enabled = %t, accept_mock = %t", a.Enabled, a.AcceptMock))
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
	u, err := url.Parse(address)
	if err == nil && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == "" {
		if u.Scheme == "https" || u.Scheme == "http" && u.Hostname() == "127.0.0.1" {
			return nil
		}
	}
	return refused("url", "https://host[:port] of the key service", address)
}

func refused(name, expected, got string) error {
	return &fault.Error{Code: fault.Usage, Message: "client configuration: " + name, Expected: expected, Got: got}
}
