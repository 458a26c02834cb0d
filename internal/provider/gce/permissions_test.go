package gce_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/gce"
	rehearsal "github.com/calimero-network/mero-tee/internal/rehearsal/gce"
)

func TestMissingPermissions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ok(`{}`))
	w.serve("cloudresourcemanager.googleapis.com", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		assert.Equal(t, http.MethodPost, r.Method)
		assert.Equal(t, "/v1/projects/"+project+":testIamPermissions", r.URL.Path)
		assert.Equal(t, "Bearer token", r.Header.Get("Authorization"))
		ok(`{"permissions":["compute.images.get"]}`).ServeHTTP(rw, r)
	}))
	c := w.client()
	missing, err := c.Permissions(t.Context(),
		[]string{"compute.images.create", "compute.images.get", "compute.instances.create"})
	require.NoError(t, err)
	require.Equal(t, []string{"compute.images.create", "compute.instances.create"}, missing)
	missing, err = c.Permissions(t.Context(), []string{"compute.images.get"})
	require.NoError(t, err)
	require.Empty(t, missing)
}

func TestPermissionsOfTheRehearsal(t *testing.T) {
	t.Parallel()
	c := newCloud(t, rehearsal.Faults{Denied: []string{"compute.images.create"}}).bare()
	missing, err := c.Permissions(t.Context(), gce.ReleasePermissions())
	require.NoError(t, err)
	require.Equal(t, []string{"compute.images.create"}, missing)
}

func TestPermissionsThatCannotBeAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ok(`{}`))
	w.serve("cloudresourcemanager.googleapis.com", inTurn(refuse(503, "backendError", "oops"),
		answer{status: 403,
			body: `{"error":{"code":403,"status":"PERMISSION_DENIED","message":"Cloud Resource Manager API has not been used",
			"details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"SERVICE_DISABLED",
			"domain":"googleapis.com"}]}}`}))
	_, err := w.client().Permissions(t.Context(), gce.ReleasePermissions())
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, fault.Usage, f.Code)
	require.Contains(t, f.Hint, "gcloud services enable")
	require.Len(t, w.pauses, 1)
}

func TestReleasePermissions(t *testing.T) {
	t.Parallel()
	all := gce.ReleasePermissions()
	require.True(t, slices.IsSorted(all))
	require.Equal(t, all, slices.Compact(slices.Clone(all)))
	require.Contains(t, all, "compute.images.create")
	require.LessOrEqual(t, len(all), 100, "one question asks for no more")
}
