package boot

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/release"
)

// visitor is who may enter a node of a debug profile: by a key that the metadata
// server names, as on Compute Engine.
type visitor struct {
	signer ssh.Signer
	nonce  [32]byte // that the node answers, when it has a TD
	client *ssh.Client
}

// visitorName is the one account that may log in (ansible/roles/ssh).
const visitorName = "debug"

// newVisitor has a key of its own, nil where the profile has no way in.
func newVisitor(p release.Profile) (*visitor, error) {
	if p == release.LockedReadOnly {
		return nil, nil
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.NewSignerFromKey(private)
	return &visitor{signer: signer, nonce: agent.NewNonce()}, err
}

// attributes are the instance's metadata: who may log in, and what the agent is to do.
func (v *visitor) attributes() (map[string]string, error) {
	if v == nil {
		return map[string]string{}, nil
	}
	out, err := agent.Mission{Nonce: v.nonce, Health: true}.Attributes()
	if err != nil {
		return nil, err
	}
	key := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(v.signer.PublicKey())))
	out["ssh-keys"], out["enable-oslogin"] = visitorName+":"+key+" "+visitorName, "FALSE"
	return out, nil
}

// Inside is what a node says of itself, where there is a way in.
type Inside struct {
	Units  []string `json:"units"`  // that failed
	Mounts []string `json:"mounts"` // "/ /dev/mapper/root squashfs ro,…"
	Ports  []string `json:"ports"`  // that something listens on
	Waits  []string `json:"waits"`  // units that need the measurement: name and state
	Lent   *Lent    `json:"lent"`   // null: it got no TD
}

// inside asks a node of a debug profile for its units, mounts, ports and its own event log.
func (s *session) inside(ctx context.Context, g *guest, v *visitor) error {
	const name = "inside: units, mounts, listeners, event log"
	if v == nil {
		s.report.add(check.NotApplicable(name, "the profile has no way in; the debug profiles are made by the same roles"))
		return nil
	}
	if err := v.enter(ctx, g); err != nil {
		s.report.add(check.Of("inside: a login by the key that the metadata server names", err))
		return nil
	}
	defer v.client.Close()
	s.say(g, "logged in by SSH")
	answers, err := v.answers(askFailed, askMounts, askListeners, askWaits, askLog)
	if err != nil {
		return err
	}
	s.report.Inside = &Inside{Units: lines(answers[askFailed]), Mounts: lines(answers[askMounts]),
		Ports: lines(answers[askListeners]), Waits: lines(answers[askWaits])}
	s.report.add(s.judgeInside()...)
	events, err := measuredboot.ParseTPM([]byte(answers[askLog]))
	if err == nil {
		err = s.disk.boot.JudgeTPM(events)
	}
	s.report.add(check.Of("inside: the kernel's own event log is as predicted", err))
	return s.lend(ctx, g, v)
}

// The questions, each one command.
const (
	measureUnit  = "mero-measure.service"
	askFailed    = "systemctl list-units --all --plain --no-legend --state=failed"
	askMounts    = "findmnt --raw --noheadings --output TARGET,SOURCE,FSTYPE,OPTIONS"
	askListeners = "ss --no-header --listening --tcp --udp --numeric"
	// Not by list-dependencies --reverse: sysinit.target wants the measurement, and everything comes after that.
	waiting  = "$(systemctl show -P RequiredBy " + measureUnit + ")"
	askWaits = "for unit in " + waiting + "; do echo $unit $(systemctl show -P ActiveState $unit); done"
	askLog   = "sudo cat /sys/kernel/security/tpm0/binary_bios_measurements"
)

// answers are what the node says to each of the questions.
func (v *visitor) answers(questions ...string) (map[string]string, error) {
	out := map[string]string{}
	for _, command := range questions {
		said, err := v.ask(command)
		if err != nil {
			return nil, &fault.Error{Code: fault.General, Message: "the node does not answer: " + command, Err: err}
		}
		out[command] = said
	}
	return out, nil
}

// enter logs in as soon as the node lets it.
func (v *visitor) enter(ctx context.Context, g *guest) error {
	config := &ssh.ClientConfig{User: visitorName, Auth: []ssh.AuthMethod{ssh.PublicKeys(v.signer)},
		HostKeyCallback: ssh.InsecureIgnoreHostKey()} //nolint:gosec // the wire ends in this process
	var last error
	err := g.await(ctx, patience/4, func() (bool, error) {
		dial, stop := context.WithTimeout(ctx, 10*time.Second)
		defer stop()
		conn, err := g.network.Dial(dial, 22)
		if err != nil {
			last = err
			return false, nil // the next try may succeed
		}
		_ = conn.SetDeadline(time.Now().Add(patience / 8)) // a pipe's; an emulated processor takes its time for a key
		c, channels, requests, err := ssh.NewClientConn(conn, "node:22", config)
		if err != nil {
			_ = conn.Close() // a pipe's end
			last = err
			return false, nil // the next try may succeed
		}
		_ = conn.SetDeadline(time.Time{}) // a pipe's
		v.client = ssh.NewClient(c, channels, requests)
		return true, nil
	})
	if err != nil && last != nil {
		return &fault.Error{Code: fault.Verification, Message: "nobody can log in", Err: last}
	}
	return err
}

// maxAnswer bounds what a node may say, in bytes.
const maxAnswer = 4 << 20

func (v *visitor) ask(command string) (string, error) { return v.run(command, nil) }

// run runs a command, which reads input.
func (v *visitor) run(command string, input io.Reader) (string, error) {
	session, err := v.client.NewSession()
	if err != nil {
		return "", err
	}
	defer session.Close()
	out, err := session.StdoutPipe()
	if err != nil {
		return "", err
	}
	var complaint bytes.Buffer
	session.Stdin, session.Stderr = input, &complaint
	if err := session.Start(command); err != nil {
		return "", err
	}
	said, err := io.ReadAll(io.LimitReader(out, maxAnswer))
	if end := session.Wait(); end != nil {
		err = errors.Join(err, fmt.Errorf("%w: %s", end, complaint.String()))
	}
	return string(said), err
}

func lines(said string) []string {
	out := []string{}
	for line := range strings.Lines(said) {
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// judgeInside judges what a node says of itself.
func (s *session) judgeInside() check.Results {
	in := s.report.Inside
	failed := slices.DeleteFunc(slices.Clone(in.Units), func(u string) bool {
		return strings.HasPrefix(u, measureUnit+" ")
	})
	waits := slices.DeleteFunc(slices.Clone(in.Waits), func(u string) bool { return strings.HasSuffix(u, " inactive") })
	root := rootMount(in.Mounts)
	want := "squashfs"
	if s.Profile == release.Debug {
		want = "overlay"
	}
	return check.Results{
		must("inside: no unit failed but "+measureUnit+", which needs TDX", len(failed) == 0 &&
			len(in.Units) > 0, measureUnit, strings.Join(in.Units, "; ")),
		must("inside: nobody starts without the measurement",
			len(waits) == 0 && slices.Contains(in.Waits, "merod.service inactive"),
			"each unit that requires it is inactive, merod among them", strings.Join(in.Waits, "; ")),
		must("inside: the root is the verified one", mounted(root, want), want+", of dm-verity", root),
	}
}

func rootMount(mounts []string) string {
	for _, m := range mounts {
		if strings.HasPrefix(m, "/ ") {
			return m
		}
	}
	return "none"
}

// mounted says whether a line of findmnt is that of a root of this kind, read-only
// unless it is an overlay.
func mounted(line, kind string) bool {
	f := strings.Fields(line)
	if len(f) != 4 || f[2] != kind {
		return false
	}
	return kind == "overlay" || slices.Contains(strings.Split(f[3], ","), "ro") && strings.HasPrefix(f[1], "/dev/mapper/")
}
