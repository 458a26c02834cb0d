package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Verify checks what a report rests on: a genuine quote over the nonce and the
// peer ID, of a TD that measured the profile and nothing else into RTMR3, and
// an event log that replays to RTMR0, RTMR1 and RTMR2. A failed check has code
// Verification; when the node itself failed, the error has the node's code.
func (r *Report) Verify(ctx context.Context, v *tdx.Verifier, profile release.Profile, nonce [32]byte) (*tdx.Verdict, error) {
	if r.Error != "" {
		return nil, &fault.Error{Code: r.ExitCode, Message: "the node says: " + r.Error}
	}
	if r.Profile != profile {
		return nil, fault.Mismatch("the node is of another profile", string(profile), string(r.Profile))
	}
	if want := fmt.Sprintf("%x", nonce); r.Nonce != want {
		return nil, fault.Mismatch("the node's report answers another nonce", want, r.Nonce)
	}
	verdict, err := v.Verify(ctx, r.Quote, wire.NodeReportData(nonce, r.PeerID))
	if err := undecided("the node's quote", err); err != nil {
		return nil, err
	}
	want := verdict.Registers
	want.RTMR3 = tdx.ProfileRTMR3(string(profile))
	if err := compare("RTMR3 is not that of profile "+string(profile), want, verdict.Registers); err != nil {
		return nil, err
	}
	if err := r.replay(verdict.Registers); err != nil {
		return nil, err
	}
	return verdict, nil
}

// replay: the firmware's log ends where the kernel begins, so RTMR3 is not in it.
func (r *Report) replay(quoted tdx.Registers) error {
	events, err := tdx.ParseCCEL(r.EventLog)
	if err != nil {
		return failed("the node's event log", err)
	}
	replayed := quoted
	replayed.RTMR0, replayed.RTMR1, replayed.RTMR2 = tdx.Replay(events, 0), tdx.Replay(events, 1), tdx.Replay(events, 2)
	return compare("the node's event log does not replay to its quote", quoted, replayed)
}

// Verify checks, from outside, that the service which a node says it verified
// proved itself to it: by a genuine quote over the node's nonce, of the very
// instance whose registers are given.
func (v *VisitResult) Verify(ctx context.Context, verifier *tdx.Verifier, service tdx.Registers) (*tdx.Verdict, error) {
	switch {
	case !v.Verified && v.Error != "":
		return nil, v.Err()
	case !v.Verified || len(v.Nonce) != 32 || v.Registers == nil:
		return nil, fault.Mismatch("the node did not verify the key service",
			"verified, with nonce and registers", fmt.Sprintf("verified: %t", v.Verified))
	}
	verdict, err := verifier.Verify(ctx, v.Quote, wire.AttestReportData([32]byte(v.Nonce), wire.DefaultBinding()))
	if err := undecided("the key service's quote to the node", err); err != nil {
		return nil, err
	}
	if err := compare("the node verified another key service", service, verdict.Registers); err != nil {
		return nil, err
	}
	if err := compare("the node says other registers than it was shown", verdict.Registers, *v.Registers); err != nil {
		return nil, err
	}
	return verdict, nil
}

// compare lists every register that differs.
func compare(message string, want, got tdx.Registers) error {
	var expected, found []string
	for _, d := range want.Compare(got) {
		expected = append(expected, d.Name+" "+d.Want.String())
		found = append(found, d.Name+" "+d.Got.String())
	}
	if len(found) == 0 {
		return nil
	}
	return fault.Mismatch(message, strings.Join(expected, ", "), strings.Join(found, ", "))
}

// undecided is the error of a verification: without collateral there is no verdict of code Verification.
func undecided(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, tdx.ErrCollateral):
		return fmt.Errorf("%s is undecided: %w", what, err)
	}
	return failed(what, err)
}
