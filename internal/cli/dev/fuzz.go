package dev

import (
	"bytes"
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
	packages, err := exec.CommandContext(ctx, "go", "list", "./...").Output()
	if err != nil {
		return fmt.Errorf("go list: %w", err)
	}
	for pkg := range bytes.FieldsSeq(packages) {
		if err := fuzzPackage(ctx, w, string(pkg), each); err != nil {
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
		err := goTool(ctx, w, ".", "test", "-run=^$", "-fuzz=^"+target+"$", "-fuzzminimizetime=1x", fmt.Sprintf("-fuzztime=%ds", seconds), pkg)
		if err != nil {
			return err
		}
	}
	return nil
}
