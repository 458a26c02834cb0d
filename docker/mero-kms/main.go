// Command mero-kms is the key service: internal/kms with its real parts.
//
// Its promise: it starts with exactly the configuration its environment and
// image state, or says why not and exits 2; it stops cleanly on SIGTERM.
package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	_ "golang.org/x/crypto/x509roots/fallback" // the image is FROM scratch and holds no certificates
	"golang.org/x/sync/errgroup"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms"
	"github.com/calimero-network/mero-tee/internal/provider/dstack/guest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Environ(), os.Stderr)
	stop()
	os.Exit(code)
}

// run returns one of the exit codes of package fault; stderr gets JSON lines.
func run(ctx context.Context, args, environ []string, stderr io.Writer) int {
	log := slog.New(slog.NewJSONHandler(stderr, nil))
	err := serve(ctx, args, environ, log)
	if err == nil {
		return int(fault.Success)
	}
	attrs := []any{"reason", err.Error()}
	var f *fault.Error
	if errors.As(err, &f) {
		attrs = append(attrs, "expected", f.Expected, "got", f.Got, "hint", f.Hint)
	}
	log.Error("key service refused to run", attrs...)
	return int(fault.CodeOf(err))
}

func serve(ctx context.Context, args, environ []string, log *slog.Logger) error {
	if len(args) > 0 {
		return &fault.Error{Code: fault.Usage, Message: "no arguments are taken; the environment configures the service",
			Got: strings.Join(args, " ")}
	}
	config, err := kms.Load(environ, kms.ImageProfile)
	if err != nil {
		return err
	}
	signer, err := kms.NewPolicySigner(config)
	if err != nil {
		return err
	}
	collateral := newCollateral(config)
	verifier, err := newVerifier(config, collateral)
	if err != nil {
		return err
	}
	redis.SetLogger(kms.RedisLog{Log: log})
	agent := guest.New(config.GuestSocket)
	defer agent.Close()
	service := kms.New(config, kms.Parts{Guest: agent, Verifier: verifier, Transport: http.DefaultTransport,
		PolicySigner:  signer,
		CollateralAge: collateral.Age, Now: time.Now, Log: log})
	g, ctx := errgroup.WithContext(ctx)
	if err := listen(ctx, g, service, config); err != nil {
		return err
	}
	go announce(ctx, agent, log)
	go collateral.Refresh(ctx, func(url string, err error) {
		log.Warn("collateral could not be renewed; it serves until its end", "url", url, "reason", err.Error())
	})
	return g.Wait()
}

// listen opens every address before anything is served, and serves until ctx ends.
func listen(ctx context.Context, g *errgroup.Group, service *kms.Service, config kms.Config) error {
	l, err := kms.Listen(config.Listen, os.LookupEnv)
	if err != nil {
		return err
	}
	if config.Metrics != "" {
		m, err := net.Listen("tcp", config.Metrics)
		if err != nil {
			_ = l.Close()
			return &fault.Error{Code: fault.Usage, Message: "METRICS_ADDR cannot be opened", Got: config.Metrics, Err: err}
		}
		g.Go(func() error { return service.ServeMetrics(ctx, m) })
	}
	g.Go(func() error { return service.Serve(ctx, l) })
	return nil
}

func newCollateral(config kms.Config) *tdx.Collateral {
	if config.PCSURL != "" {
		return tdx.NewMirrored(config.PCSURL, http.DefaultClient)
	}
	return tdx.NewCollateral(http.DefaultClient)
}

func newVerifier(config kms.Config, collateral *tdx.Collateral) (*tdx.Verifier, error) {
	root, err := tdx.ParseRoot(config.TDXRoot)
	if err != nil {
		return nil, err
	}
	return tdx.NewVerifier(tdx.Config{Root: root, Collateral: collateral, Now: time.Now,
		MinEvaluationNumber: config.MinEvaluation})
}

// announce logs which application dstack says this is; nothing depends on it.
func announce(ctx context.Context, agent *guest.Client, log *slog.Logger) {
	info, err := agent.Info(ctx)
	if err != nil {
		log.Warn("the dstack guest agent does not answer; /attest and /get-key need it", "reason", err.Error())
		return
	}
	log.Info("dstack guest agent answers", "app_id", info.AppID, "instance_id", info.InstanceID, "compose_hash",
		info.ComposeHash)
}
