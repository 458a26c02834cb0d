package cli

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/magefile/mage/mg"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// chain is three targets of which the last depends on the one before, and so on.
// Functions of their own, for Mage knows a dependency by its function.
type chain struct {
	s   *session
	ran []string
}

func (c *chain) act(ctx context.Context, name string, err error, deps ...any) error {
	return c.s.act(ctx, request{target: name}, deps, func(context.Context, *session) error {
		c.ran = append(c.ran, name)
		return err
	})
}

// A dependency that fails ends what needs it, with its own code, printed once; Mage's panic goes no further.
func TestAFailedDependencyEndsTheTarget(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err  error
		code int
		says string
	}{
		"a check": {&fault.Error{Code: fault.Verification, Message: "the guard says no"}, 10,
			"kms:version: the guard says no"},
		"an asset":    {&fault.Error{Code: fault.MissingAsset, Message: "no notes"}, 11, "kms:version: no notes"},
		"a full disk": {errors.New("no space left"), 1, "kms:version: no space left"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			c := &chain{s: &session{console: console.New(&out, false)}}
			guards := dep(t.Name()+"guards", func(ctx context.Context) error { return c.act(ctx, "kms:version", tc.err) })
			build := dep(t.Name()+"build", func(ctx context.Context) error { return c.act(ctx, "kms:build", nil, guards) })
			err := c.act(t.Context(), "kms:sbom", nil, build)
			require.Equal(t, tc.code, mg.ExitStatus(err))
			require.Equal(t, []string{"kms:version"}, c.ran)
			require.Equal(t, 1, bytes.Count(out.Bytes(), []byte("[ERROR]")), out.String())
			require.Contains(t, out.String(), tc.says)
			require.Equal(t, 1, bytes.Count(out.Bytes(), []byte("Exit: ")), out.String())
		})
	}
}

// A target that breaks down is an error of the command, and no success.
func TestADependencyThatBreaksDown(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := &chain{s: &session{console: console.New(&out, false)}}
	broken := dep(t.Name(), func(context.Context) error { panic("index out of range") })
	err := c.act(t.Context(), "kms:sbom", nil, broken)
	require.Equal(t, 1, mg.ExitStatus(err))
	require.Empty(t, c.ran)
	require.Contains(t, out.String(), "[ERROR] kms:sbom: index out of range")
}

// dependency is an mg.Fn with a name of its own.
type dependency struct {
	name string
	run  func(context.Context) error
}

func dep(name string, run func(context.Context) error) mg.Fn { return dependency{name, run} }

func (d dependency) Name() string                  { return d.name }
func (d dependency) ID() string                    { return d.name }
func (d dependency) Run(ctx context.Context) error { return d.run(ctx) }
