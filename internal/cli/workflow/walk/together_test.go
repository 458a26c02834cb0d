package walk_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/calimero-network/mero-tee/internal/pipeline/releasetest"
	"github.com/calimero-network/mero-tee/internal/rehearsal/actions"
)

// Two tags that are pushed at once are released at once: what their runs make at GitHub, at the registry, at Google and
// at Phala has names of its own, and neither run deletes what the other made.
func TestTwoReleasesAtOnceDoNotMeet(t *testing.T) {
	t.Parallel()
	releasetest.Long(t, "two release workflows, walked at once")
	w := begin(t)
	w.set("MERO_TEE_VERSION", "1.0.0-rc.1")
	w.set("MERO_KMS_VERSION", "1.0.0-rc.1")
	w.declare("mero-kms-v1.0.0", "mero-tee-v1.0.0")
	runs := []*actions.Run{w.tag("mero-tee-v1.0.0-rc.1"), w.tag("mero-kms-v1.0.0-rc.1")}
	var both errgroup.Group
	for _, r := range runs {
		both.Go(func() error { return r.Start(t.Context()) })
	}
	require.NoError(t, both.Wait())
	for _, r := range runs {
		w.finished(r)
	}
}
