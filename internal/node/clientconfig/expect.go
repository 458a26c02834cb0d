package clientconfig

import (
	"encoding/hex"
	"strings"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/node/agent"
)

// Expectation is what an agent with this configuration demands of the key service.
func (c *Config) Expectation(v *tdx.Verifier) (agent.Expectation, error) {
	if err := c.check(); err != nil {
		return agent.Expectation{}, err
	}
	a := c.Attestation
	hash, err := a.composeHash()
	return agent.Expectation{Verifier: v, AllowedTCB: a.AllowedTCBStatuses, ComposeHash: hash, RTMR3: a.AllowedRTMR3,
		Registers: tdx.Registers{MRTD: a.AllowedMRTD[0], RTMR0: a.AllowedRTMR0[0], RTMR1: a.AllowedRTMR1[0], RTMR2: a.AllowedRTMR2[0]}}, err
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
