// Command standin is merod or traefik in a rehearsed node image, by its file's name.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/calimero-network/mero-tee/internal/rehearsal/companion"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := companion.Main(ctx, companion.Process{Args: os.Args, Getenv: os.Getenv, Stderr: os.Stderr})
	stop()
	os.Exit(code)
}
