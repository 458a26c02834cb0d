package policies_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

func version(t *testing.T, s string) release.Version {
	t.Helper()
	v, err := release.ParseVersion(s)
	require.NoError(t, err)
	return v
}

// register is a value that differs with each seed.
func register(seed byte) tdx.Register {
	return tdx.Register(bytes.Repeat([]byte{seed}, tdx.RegisterSize))
}

// registers share what the platform owns; RTMR1 and RTMR2 differ with the seed, RTMR3 with the profile.
func registers(p release.Profile, seed byte) tdx.Registers {
	return tdx.Registers{MRTD: register(0xa0), RTMR0: register(0xa1), RTMR1: register(0xb0 + seed),
		RTMR2: register(0x10*byte(1+len(p)%7) + seed), RTMR3: tdx.ProfileRTMR3(string(p))}
}

// evidence is what node release v publishes.
func evidence(t *testing.T, v string, seed byte) policies.Evidence {
	t.Helper()
	ev := policies.Evidence{Tag: release.Tag{Family: release.Node, Version: version(t, v)},
		Digest:    "sha256:" + strings.Repeat(string("0123456789abcdef"[seed%16]), 64),
		Registers: map[release.Profile]tdx.Registers{}}
	for _, p := range release.Profiles() {
		ev.Registers[p] = registers(p, seed)
	}
	return ev
}

var (
	upToDate = tcb.Platform{Status: tdx.UpToDate}
	today    = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
)

// working is the shipped form of a profile's file with the evidence promoted.
func working(t *testing.T, p release.Profile, promoted ...policies.Evidence) *policies.Working {
	t.Helper()
	w := &policies.Working{SchemaVersion: "1", Profile: p, AllowedTCBStatus: []string{"UpToDate"},
		Measurements: []policies.Measurement{}, Revoked: []policies.Revocation{}}
	for _, ev := range promoted {
		var err error
		w, err = policies.Promote(w, ev)
		require.NoError(t, err)
	}
	return w
}

// ready is a policy in force with the tuples of node releases 1.1.0 and 1.2.0.
func ready(t *testing.T, p release.Profile) *policies.Policy {
	t.Helper()
	old, counterpart := evidence(t, "1.1.0", 1), evidence(t, "1.2.0", 2)
	policy, err := policies.Generate(working(t, p, old, counterpart), version(t, "1.2.0"), counterpart)
	require.NoError(t, err)
	return policy
}
