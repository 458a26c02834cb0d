package dev

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"regexp"
)

const defaultFuzzSeconds = 10

var fuzzTarget = regexp.MustCompile(`(?m)^Fuzz\w+$`)

// Fuzz runs every fuzz target of the main module for the given time each.
func Fuzz(ctx context.Context, w io.Writer, seconds *int) error {
	each := defaultFuzzSeconds
	if seconds != nil {
		each = *seconds
	}
	packages, err := list(ctx, ".")
	if err != nil {
		return err
	}
	for _, pkg := range packages {
		if err := fuzzPackage(ctx, w, pkg, each); err != nil {
			return err
		}
	}
	return nil
}

func fuzzPackage(ctx context.Context, w io.Writer, pkg string, seconds int) error {
	listed, err := exec.CommandContext(ctx, "go", "test", "-list=^Fuzz", pkg).Output()
	if err != nil {
		return fmt.Errorf("%s: %w", pkg, err)
	}
	for _, target := range fuzzTarget.FindAllString(string(listed), -1) {
		err := goTool(ctx, w, ".", "test", "-run=^$", "-fuzz=^"+target+"$", "-fuzzminimizetime=1x",
			fmt.Sprintf("-fuzztime=%ds", seconds), pkg)
		if err != nil {
			return err
		}
	}
	return nil
}
