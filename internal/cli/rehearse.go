package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
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
	page, err := announce(w, world)
	if err != nil {
		return err
	}
	c.Infof("the rehearsal is up; Ctrl-C ends it")
	c.Infof("for a browser: %s", page)
	c.Infof("with the last two lines in its environment a program reaches these hosts by their names: " +
		"`GH_TOKEN=rehearsal gh release list -R calimero-network/mero-tee`")
	<-ctx.Done()
	return nil
}

// announce writes where each host is answered, where a browser sees the local GitHub, which it returns, and by which
// variables a program of others finds the hosts under their names.
func announce(w io.Writer, world *rehearsal.World) (page string, err error) {
	proxy, err := world.Network.Proxy()
	if err != nil {
		return "", err
	}
	if page, err = world.Pages(); err != nil {
		return "", err
	}
	authority := filepath.Join(world.State, "authority.pem") // of this run's certificates
	if err := file.Write(authority, proxy.CertificatePEM, 0o644); err != nil {
		return "", err
	}
	if authority, err = filepath.Abs(authority); err != nil {
		return "", err
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, host := range world.Hosts() {
		_, _ = fmt.Fprintf(t, "%s\t%s\n", host, world.Network.URL(host))
	}
	_, _ = fmt.Fprintf(t, "browser\t%s\nHTTPS_PROXY\t%s\nSSL_CERT_FILE\t%s\n", page, proxy.URL, authority)
	return page, t.Flush()
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
