package cli_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/magefile/mage/mg"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/pipeline"
)

// https://github.com/magefile/mage/issues/371: a dependency that fails by
// panicking out of its own mg.Deps leaves no error behind, so the second
// target that depends on it runs. This is that shape: a signature check under
// a guard, and two publishers that both depend on the guard.
func TestALedgerGateHoldsWhereMageDoesNot(t *testing.T) {
	published := map[string]int{}
	noop := func(context.Context, *pipeline.Work) error { return nil }
	publisher := func(name string) func(context.Context, *pipeline.Work) error {
		return func(context.Context, *pipeline.Work) error { published[name]++; return nil }
	}
	bad := errors.New("the signature is bad")
	graph := pipeline.Graph{
		{Name: "signature", Do: func(context.Context, *pipeline.Work) error { return bad }},
		{Name: "guards", Needs: []string{"signature"}, Do: noop},
		{Name: "publish-node", Needs: []string{"guards"}, Do: publisher("node")},
		{Name: "publish-kms", Needs: []string{"guards"}, Do: publisher("kms")},
	}
	ledger, err := pipeline.OpenLedger(t.TempDir(), "mero-kms-v1.2.0", "c", time.Now)
	require.NoError(t, err)
	defer ledger.Close()
	run := &pipeline.Run{Graph: graph, Ledger: ledger, Console: console.New(&bytes.Buffer{}, false)}

	reached := map[string]bool{}
	target := func(name string, deps ...any) func() error {
		return func() error {
			mg.SerialDeps(deps...)
			reached[name] = true
			return run.Perform(t.Context(), name)
		}
	}
	signature := target("signature")
	guards := target("guards", signature)
	node, kms := target("publish-node", guards), target("publish-kms", guards)
	// One after the other, so that the test does not depend on scheduling.
	require.Panics(t, func() { mg.SerialDeps(node) })
	func() {
		defer func() { _ = recover() }()
		mg.SerialDeps(kms)
	}()

	require.True(t, reached["publish-kms"], "mage has mended #371: law 2 can be told more simply")
	require.Empty(t, published, "nothing is published after a guard has failed")
}
