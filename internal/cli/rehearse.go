package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/rehearsal"
	"github.com/calimero-network/mero-tee/internal/rehearsal/contract"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// Up keeps the rehearsal's world running until ctx ends and prints where it listens.
func Up(ctx context.Context, w io.Writer) error {
	space, err := configure()
	if err != nil {
		return err
	}
	if space.cfg.Environment != config.Rehearsal {
		return &fault.Error{Code: fault.Usage, Message: "there is no rehearsal in production", Hint: "unset MERO_ENVIRONMENT"}
	}
	space.rehearse(release.Tag{Family: release.KMS})
	c := newConsole()
	world, err := rehearsal.Open(ctx, space.root, space.dist, space.cfg, c)
	if err != nil {
		return err
	}
	defer closeWorld(world, c)
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, host := range world.Hosts() {
		_, _ = fmt.Fprintf(t, "%s\t%s\n", host, world.Network.URL(host))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	c.Infof("the rehearsal is up; Ctrl-C ends it")
	<-ctx.Done()
	return nil
}

// Contracts writes what the rehearsal's stand-ins enforce, rule by rule, and what they are known to lack.
func Contracts(w io.Writer) error {
	space, err := locate()
	if err != nil {
		return err
	}
	contracts, err := contract.Find(os.DirFS(space.root))
	if err != nil {
		return err
	}
	return contract.Write(w, contracts)
}

// Reset removes dist/ with every rehearsed release.
func Reset() error {
	w, err := locate()
	if err != nil {
		return err
	}
	newConsole().Infof("removing %s", console.Path(w.dist))
	return os.RemoveAll(w.dist)
}
