package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/node/clientconfig"
)

// merod is the program beside the agent, and where it keeps its configuration.
type merod struct{ program, home, node string }

// check demands the three flags, and no other.
func (m merod) check(flags int) error {
	if m.program == "" || m.home == "" || m.node == "" || flags != 3 {
		return errors.New("-configure, -merod-home and -merod-node go together, and with nothing else")
	}
	return nil
}

// configure hands the operator's client configuration to merod, when there is
// one. merod writes its own file, and judges it as it does when it starts.
func (o *options) configure(ctx context.Context, stderr io.Writer) error {
	text, err := o.server().Attribute(ctx, agent.ConfigAttribute)
	if err != nil || text == "" {
		return err
	}
	c, err := clientconfig.Decode([]byte(text))
	if err != nil {
		return err
	}
	//nolint:gosec // a list of arguments, never a shell's; merod judges them
	cmd := exec.CommandContext(ctx, o.merod.program, o.merod.arguments(c)...)
	cmd.Stdout, cmd.Stderr = stderr, stderr
	if err := cmd.Run(); err != nil {
		return &fault.Error{Code: fault.General, Message: "merod refuses the client configuration", Err: err,
			Expected: fmt.Sprintf("exit status 0 of %s config", o.merod.program),
			Hint:     "a merod that knows no allowed_compose_hashes needs allowed_rtmr3: config:attestation -attest writes it"}
	}
	return nil
}

func (m merod) arguments(c *clientconfig.Config) []string {
	return append([]string{"--home", m.home, "--node", m.node, "config"}, c.Arguments()...)
}
