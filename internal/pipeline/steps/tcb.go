package steps

import (
	"fmt"
	"os"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/pipeline/plan"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
	"github.com/calimero-network/mero-tee/policies/inspection"
)

// governed is a TCB list with the file in which people change it.
type governed struct {
	file string
	list tcb.List
}

// tcbLists are what people declared about machines: under the nodes of each
// profile, and under the key service.
func tcbLists(policiesDir, hostFile string) ([]governed, error) {
	working, err := policies.LoadDir(os.DirFS(policiesDir))
	if err != nil {
		return nil, err
	}
	var out []governed
	for _, p := range release.Profiles() {
		out = append(out, governed{"policies/" + policies.File(p), working[p].TCB()})
	}
	host, err := tcb.ReadHost(hostFile)
	if err != nil {
		return nil, err
	}
	return append(out, governed{tcb.HostFile, host.List}), nil
}

// Waive puts every waiver of the working policies and of the key service's host
// into a plan, with a check of each: a release begins with none that has ended.
// It also says what a key service will admit without E2E.
func Waive(p *plan.Plan, policiesDir, hostFile string) error {
	lists, err := tcbLists(policiesDir, hostFile)
	if err != nil {
		return err
	}
	for _, l := range lists {
		for _, w := range l.list.TCBWaivers {
			p.Waivers = append(p.Waivers, fmt.Sprintf("%s: %s: %s", l.file, w.What(), w.Reason))
		}
		p.Checks = append(p.Checks, inspection.Waivers(l.file, l.list, time.Now())...)
	}
	if p.Tag.Family == release.Node { // it has no policy
		return nil
	}
	working, err := policies.LoadDir(os.DirFS(policiesDir))
	if err != nil {
		return err
	}
	for _, profile := range release.Profiles() {
		for _, m := range policies.Untested(working[profile].Standing()) {
			p.Untested = append(p.Untested, fmt.Sprintf("%s in policies/%s: %s", m.NodeRelease, policies.File(profile),
				m.WithoutE2E))
		}
	}
	return nil
}
