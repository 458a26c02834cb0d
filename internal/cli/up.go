package cli

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/calimero-network/mero-tee/internal/rehearsal"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

func serveWorld(ctx context.Context, w io.Writer, p place, cfg *config.Config) error {
	world, err := rehearsal.Open(ctx, p.root, p.dist, cfg, Console())
	if err != nil {
		return err
	}
	defer world.Close() //nolint:errcheck // the command ends here
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, host := range world.Hosts() {
		_, _ = fmt.Fprintf(t, "%s\t%s\n", host, world.Network.URL(host))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	Console().Infof("the rehearsal is up; Ctrl-C ends it")
	<-ctx.Done()
	return nil
}
