package dstack_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/rehearsal/dstack"
)

// Every CVM of the workspace is listed, page by page, and one that was deleted a while longer.
func TestListOfApplications(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir(), dstack.Faults{})
	names, err := w.client.Names(t.Context())
	require.NoError(t, err)
	require.Empty(t, names)
	first, err := w.client.Deploy(t.Context(), w.app(t, "first-app", nil))
	require.NoError(t, err)
	_, err = w.client.Deploy(t.Context(), w.app(t, "second-app", nil))
	require.NoError(t, err)

	var seen []string
	for page := 1; page <= 2; page++ {
		status, body := w.send(t, http.MethodGet, fmt.Sprintf("/cvms/paginated?page=%d&page_size=1", page), "")
		require.Equal(t, http.StatusOK, status)
		var list struct {
			Items              []struct{ Name string }
			Total, Page, Pages int
		}
		require.NoError(t, json.Unmarshal([]byte(body), &list))
		require.Len(t, list.Items, 1)
		require.Equal(t, []int{2, page, 2}, []int{list.Total, list.Page, list.Pages})
		seen = append(seen, list.Items[0].Name)
	}
	require.ElementsMatch(t, []string{"first-app", "second-app"}, seen)
	for _, query := range []string{"page=0", "page_size=0", "page_size=101", "page=one", "page=-1"} {
		status, _ := w.send(t, http.MethodGet, "/cvms/paginated?"+query, "")
		require.Equal(t, http.StatusUnprocessableEntity, status, query)
	}

	require.NoError(t, w.client.Delete(t.Context(), first.ID))
	for range 2 {
		names, err = w.client.Names(t.Context())
		require.NoError(t, err)
		require.ElementsMatch(t, []string{"first-app", "second-app"}, names, "deletion began, and the list is slower")
	}
	names, err = w.client.Names(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"second-app"}, names)
}
