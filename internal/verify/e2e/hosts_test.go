package e2e_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
	"github.com/calimero-network/mero-tee/internal/release"
)

// waived accepts OutOfDate of a family until a day.
func waived(p *tdxsim.Platform, until string) []tcb.Waiver {
	return []tcb.Waiver{{Status: "OutOfDate", FMSPC: p.FMSPC(), Reason: "the provider updates in December", Until: until}}
}

// waive lets the locked policies, the current and the stale one, accept the nodes' machine until a day.
func (w *world) waive(until string) {
	for _, name := range []string{policyName(version, release.LockedReadOnly), staleName} {
		w.policies[name].TCBWaivers = waived(w.machine, until)
	}
}

const lastDay, endedDay = "9999-12-31", "2026-01-31"

// A TCB recovery finds the host of the key services, or the machines of the
// nodes, in each state: what fails says whose list refuses, and only that fails.
func TestHostsInEveryState(t *testing.T) {
	t.Parallel()
	both := func(f *tdxsim.Family) { f.Standard.Platform, f.Early.Platform = tdx.OutOfDate, tdx.OutOfDate }
	early := func(f *tdxsim.Family) { f.Early.Platform = tdx.OutOfDate }
	const theHost, thePolicy = "UpToDate, by docker/mero-kms/host-tcb.json", "policies/locked-read-only.json"
	for name, tc := range map[string]struct {
		arrange func(w *world)
		fails   map[string]string // check to a part of its Reason, Expected, Got or Hint
		code    fault.Code
	}{
		"host out of date, early":  {func(w *world) { w.pcs.Recover(w.under, early) }, nil, fault.Success},
		"nodes out of date, early": {func(w *world) { w.pcs.Recover(w.machine, early) }, nil, fault.Success},
		"host out of date": {func(w *world) { w.pcs.Recover(w.under, both) },
			map[string]string{attestCheck: theHost, eventsCheck: theHost, attestationCheck: theHost, keyCheck: theHost,
				isolationCheck: theHost, serviceAppraisal: "TCB status",
				staleAppraisal: "TCB status"}, fault.Verification},
		"host out of date, waived": {func(w *world) {
			w.pcs.Recover(w.under, both)
			w.run.HostTCB.TCBWaivers = waived(w.under, lastDay)
		}, nil, fault.Success},
		"host out of date, another family waived": {func(w *world) {
			w.pcs.Recover(w.under, both)
			w.run.HostTCB.TCBWaivers = waived(w.machine, lastDay)
		}, map[string]string{attestCheck: `waive it in docker/mero-kms/host-tcb.json`, eventsCheck: theHost,
			attestationCheck: theHost, keyCheck: theHost, isolationCheck: theHost, serviceAppraisal: "TCB status",
			staleAppraisal: "TCB status"},
			fault.Verification},
		"host out of date, waiver ended": {func(w *world) {
			w.pcs.Recover(w.under, both)
			w.run.HostTCB.TCBWaivers = waived(w.under, endedDay)
		}, map[string]string{attestCheck: "its waiver has ended (OutOfDate of FMSPC 53494d000002 until 2026-01-31)",
			eventsCheck: theHost, attestationCheck: theHost, keyCheck: theHost, isolationCheck: theHost,
			serviceAppraisal: "waiver has ended", staleAppraisal: "waiver has ended"}, fault.Verification},
		"host without a TCB level": {func(w *world) {
			w.pcs.Recover(w.under, func(f *tdxsim.Family) { f.Standard.NoLevel, f.Early.NoLevel = "platform", "platform" })
		}, map[string]string{attestCheck: "cannot be judged", eventsCheck: "cannot be judged",
			attestationCheck: "cannot be judged", keyCheck: "cannot be judged", isolationCheck: "cannot be judged",
			serviceAppraisal: "cannot be judged", staleAppraisal: "cannot be judged"}, fault.General},
		"host revoked": {func(w *world) {
			w.pcs.Recover(w.under, func(f *tdxsim.Family) { f.Standard.Platform, f.Early.Platform = tdx.Revoked, tdx.Revoked })
			w.run.HostTCB.TCBWaivers = waived(w.under, lastDay)
		}, map[string]string{attestCheck: "tcb_status is Revoked", eventsCheck: "Revoked", attestationCheck: "Revoked",
			keyCheck: "Revoked", isolationCheck: "Revoked", serviceAppraisal: "Revoked",
			staleAppraisal: "Revoked"}, fault.Verification},
		"nodes out of date": {func(w *world) { w.pcs.Recover(w.machine, both) },
			map[string]string{keyCheck: thePolicy, isolationCheck: thePolicy}, fault.Verification},
		"nodes out of date, waived": {func(w *world) {
			w.pcs.Recover(w.machine, both)
			w.waive(lastDay)
		}, nil, fault.Success},
		"nodes out of date, waiver ended": {func(w *world) {
			w.pcs.Recover(w.machine, both)
			w.waive(endedDay)
		}, map[string]string{keyCheck: "its waiver has ended",
			isolationCheck: "another reason than the node's registers"}, fault.Verification},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tc.arrange(w)
			results := w.run.Execute(t.Context()).Checks.Results()
			require.Equal(t, tc.code, fault.CodeOf(results.Err()), "%v", results.Err())
			failed := map[string]check.Result{}
			for _, r := range results {
				if !r.OK() {
					failed[r.Name] = r
				}
			}
			keyless(tc.fails)
			for check, part := range tc.fails {
				require.Contains(t, failed, check)
				r := failed[check]
				require.Contains(t, r.Reason+" "+r.Expected+" "+r.Got+" "+r.Hint, part, check)
				delete(failed, check)
			}
			require.Empty(t, failed)
		})
	}
}
