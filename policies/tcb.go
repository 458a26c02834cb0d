package policies

import (
	"fmt"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// Waiver says why a status that Intel holds to be insecure is accepted all the same.
type Waiver struct {
	Status string `json:"status"`
	Reason string `json:"reason"`
}

// TCBStatuses are the statuses of Intel's TCB info (PCS API v4) that an
// operator may allow. "Revoked" is Intel's too and is never allowed: the
// verifier refuses it whatever a policy says.
func TCBStatuses() []string {
	return []string{"UpToDate", "SWHardeningNeeded", "ConfigurationNeeded",
		"ConfigurationAndSWHardeningNeeded", "OutOfDate", "OutOfDateConfigurationNeeded"}
}

// WaivedStatuses are those that need a waiver: security updates are missing.
func WaivedStatuses() []string { return []string{"OutOfDate", "OutOfDateConfigurationNeeded"} }

func checkTCB(list []string, waivers []Waiver) error {
	if len(list) == 0 {
		return fault.Mismatch("allowed_tcb_status is empty", "at least one of "+strings.Join(TCBStatuses(), ", "), "none")
	}
	for i, s := range list {
		if !slices.Contains(TCBStatuses(), s) {
			return fault.Mismatch("allowed_tcb_status holds a status that is never allowed",
				strings.Join(TCBStatuses(), ", "), s)
		}
		if slices.Contains(list[:i], s) {
			return fault.Mismatch("allowed_tcb_status holds a status twice", "each once", s)
		}
		if slices.Contains(WaivedStatuses(), s) &&
			!slices.ContainsFunc(waivers, func(w Waiver) bool { return w.Status == s }) {
			return fault.Mismatch("allowed_tcb_status holds "+s+" without a waiver",
				`its status and reason in "tcb_waivers"`, "none")
		}
	}
	return checkWaivers(list, waivers)
}

// A waiver that waives nothing would wait for the day when somebody adds the status.
func checkWaivers(list []string, waivers []Waiver) error {
	for i, w := range waivers {
		same := func(o Waiver) bool { return o.Status == w.Status }
		switch {
		case !slices.Contains(WaivedStatuses(), w.Status) || !slices.Contains(list, w.Status):
			return fault.Mismatch("tcb_waivers waives what is not allowed anyway",
				"one of "+strings.Join(WaivedStatuses(), ", ")+", in allowed_tcb_status too", w.Status)
		case strings.TrimSpace(w.Reason) == "":
			return fault.Mismatch("a TCB waiver gives no reason", "why, for those who come later", fmt.Sprintf("%q", w.Reason))
		case slices.ContainsFunc(waivers[:i], same):
			return fault.Mismatch("tcb_waivers waives a status twice", "each once", w.Status)
		}
	}
	return nil
}
