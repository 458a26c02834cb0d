package boot

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-configfs-tsm/configfs/configfsi"

	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/attestation/tsm"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/provider/gce/guestattr"
)

// TD stands in for the TD that an emulated machine is not. It runs in this
// process, and a node with a way in is lent it through that: nothing of it is in
// the image.
type TD struct {
	TSM      configfsi.Client
	EventLog []byte // CCEL, of the disk's boot
	Verifier *tdx.Verifier
}

// Lender makes a TD in which the disk has booted; nil: none is lent.
type Lender func(*measuredboot.Boot) (*TD, error)

// Where the node finds what it is lent. The kernel shows an event log in a folder
// of sysfs, which is empty without TDX.
const (
	lentFolder = "/run/mero-td"
	lentSocket = lentFolder + "/tsm.sock"
	logFolder  = "/sys/firmware/acpi/tables/data"
)

// The commands by which a TD is lent, and the units started that wait for one. The
// login's user makes the socket, so the folder is its own.
const (
	makeFolder = "sudo install -d -o " + visitorName + " " + lentFolder
	takeLog    = "mkdir " + lentFolder + "/data && cat > " + lentFolder + "/data/CCEL && sudo mount --bind " +
		lentFolder + "/data " + logFolder
	nameSocket = "sudo systemctl set-environment MERO_TSM_SOCKET=" + lentSocket + " && sudo systemctl reset-failed"
	measure    = "sudo systemctl start " + measureUnit
	startAll   = "sudo systemctl start " + waiting
	askStarted = "for unit in " + waiting +
		"; do echo $unit $(systemctl show -P ActiveState $unit) $(systemctl show -P ConditionResult $unit); done"
	whyNot = "sudo journalctl --no-pager --boot --lines=40 --priority=notice --output=cat"
)

// Lent is what a node says of itself once it has a TD.
type Lent struct {
	Units []string `json:"units"` // that need the measurement: name, state, whether their condition holds
	Ports []string `json:"ports"` // that something listens on
}

const lentName = "with a TD: what waits for the measurement"

// lend gives the node a TD, and sees what starts then.
func (s *session) lend(ctx context.Context, g *guest, v *visitor) error {
	if s.TD == nil {
		s.report.add(check.NotApplicable(lentName, "no TD is lent"))
		return nil
	}
	td, err := s.TD(s.disk.boot)
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	defer context.AfterFunc(ctx, func() { _ = v.client.Close() })() // ends what a command waits for
	socket, err := v.lend(td)
	if err != nil {
		s.report.add(check.Of(lentName, &fault.Error{Code: fault.General, Message: "the node takes no TD", Err: err}))
		return nil
	}
	defer socket()
	for _, command := range []string{nameSocket, measure, startAll} {
		if _, err := v.ask(command); err != nil {
			why, _ := v.ask(whyNot) // the error is reported in any case
			s.report.add(check.Of(lentName, fault.Mismatch(command, "exit status 0", err.Error()+"\n"+tailOf(why))))
			return nil
		}
	}
	s.say(g, "what waited for the measurement has started")
	answers, err := v.answers(askFailed, askStarted, askListeners)
	if err != nil {
		return err
	}
	s.report.Inside.Lent = &Lent{Units: lines(answers[askStarted]), Ports: lines(answers[askListeners])}
	s.report.add(judgeLent(s.report.Inside.Lent, lines(answers[askFailed]))...)
	s.report.add(s.judgeReport(ctx, td.Verifier, v.nonce, g.metadata.Reported())...)
	return nil
}

// lend leads the node to the TD; the caller ends that.
func (v *visitor) lend(td *TD) (end func(), err error) {
	if _, err := v.ask(makeFolder); err != nil {
		return nil, err
	}
	if _, err := v.run(takeLog, bytes.NewReader(td.EventLog)); err != nil {
		return nil, err
	}
	l, err := v.client.ListenUnix(lentSocket)
	if err != nil {
		return nil, err
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = tsm.Serve(l, td.TSM) // it ends with the listener
	}()
	return func() { _ = l.Close(); <-served }, nil
}

// judgeLent judges what a node with a TD runs, and shows to others. What sends
// telemetry does not start where nobody said where to: its condition does not hold.
func judgeLent(l *Lent, failed []string) check.Results {
	idle := slices.DeleteFunc(slices.Clone(l.Units), func(u string) bool {
		return strings.HasSuffix(u, " active yes") || strings.HasSuffix(u, " inactive no")
	})
	needed := []string{"mero-agent.service active yes", "merod.service active yes", "traefik.service active yes"}
	missing := slices.DeleteFunc(needed, func(u string) bool { return slices.Contains(l.Units, u) })
	others := offered(l.Ports)
	return check.Results{
		must(lentName+" starts", len(idle) == 0 && len(missing) == 0,
			"each unit is active whose condition holds, merod, traefik and the agent in any case", strings.Join(l.Units, "; ")),
		must("with a TD: no unit failed", len(failed) == 0, "none", strings.Join(failed, "; ")),
		must("with a TD: others may connect to SSH, traefik and merod's peers, and to nothing else",
			len(others) == 0, "TCP 22, 80 and 2428", strings.Join(others, "; ")),
	}
}

// judgeReport judges what a node with a TD proves, by what it reported.
func (s *session) judgeReport(ctx context.Context, v *tdx.Verifier, nonce [32]byte,
	attributes map[string]string) check.Results {
	r, err := report(attributes)
	if err != nil {
		return check.Results{check.Of("with a TD: the node reports", err)}
	}
	_, err = r.Verify(ctx, v, s.Profile, nonce)
	return check.Results{
		check.Of("with a TD: the node proves its profile, and the boot that its event log shows", err),
		check.Of("with a TD: merod answers through traefik", r.Health.Err()),
	}
}

// report is the one among guest attributes.
func report(attributes map[string]string) (*agent.Report, error) {
	var entries []guestattr.Entry
	for name, value := range attributes {
		if key, ours := strings.CutPrefix(name, guestattr.Namespace+"/"); ours {
			entries = append(entries, guestattr.Entry{Key: key, Value: value})
		}
	}
	data, err := guestattr.Decode(guestattr.ReportName, entries)
	if err != nil {
		return nil, &fault.Error{Code: fault.Verification, Message: "the node's report in its guest attributes", Err: err,
			Expected: "all of " + guestattr.Namespace + "/" + guestattr.ReportName,
			Got:      fmt.Sprintf("%d attributes", len(attributes))}
	}
	return agent.DecodeReport(data)
}

// offered are the lines of ss that show a TCP port to others, but those that a node has.
func offered(ports []string) (out []string) {
	for _, line := range ports {
		f := strings.Fields(line)
		if len(f) < 5 || f[0] != "tcp" {
			continue
		}
		at := strings.LastIndex(f[4], ":")
		host, port := f[4][:max(at, 0)], f[4][at+1:]
		if host, _, _ = strings.Cut(host, "%"); strings.HasPrefix(host, "127.") || host == "[::1]" {
			continue
		}
		if port != "22" && port != "80" && port != "2428" {
			out = append(out, line)
		}
	}
	return out
}
