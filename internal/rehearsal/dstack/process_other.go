//go:build !linux

package dstack

import (
	"context"
	"fmt"
	"os"
	"runtime"
)

// Able refuses, as exec does.
func Able(ctx context.Context) error { return (&entryPoint{}).exec(ctx, nil, nil, nil) }

// exec refuses: a released image holds Linux programs.
func (p *entryPoint) exec(context.Context, *os.File, *os.File, func()) error {
	return fmt.Errorf("the rehearsal's dstack runs Linux programs; this is %s", runtime.GOOS)
}
