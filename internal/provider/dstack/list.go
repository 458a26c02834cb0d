package dstack

import (
	"context"
	"fmt"
	"net/http"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

const (
	pageSize = 100
	maxPages = 100 // of a workspace
)

// Names are those of every CVM of the workspace, also of one that is being made
// or deleted. An answer of another shape is an error, never an empty list.
func (c *Client) Names(ctx context.Context) ([]string, error) {
	var names []string
	for page := 1; page <= maxPages; page++ {
		var out struct {
			Items *[]struct {
				Name string `json:"name"`
			} `json:"items"`
			Pages *int `json:"pages"`
		}
		path := fmt.Sprintf("/cvms/paginated?page=%d&page_size=%d", page, pageSize)
		if err := c.call(ctx, http.MethodGet, path, nil, &out); err != nil {
			return nil, err
		}
		if out.Items == nil || out.Pages == nil {
			return nil, fault.Mismatch("the provider's list of CVMs", "items and pages", "neither, or one of them")
		}
		for _, i := range *out.Items {
			if i.Name == "" {
				return nil, fault.Mismatch("the provider's list of CVMs", "a name for each", "a CVM without one")
			}
			names = append(names, i.Name)
		}
		if page >= *out.Pages {
			return names, nil
		}
	}
	return nil, &fault.Error{Code: fault.General, Message: "the provider's list of CVMs has no end",
		Expected: fmt.Sprintf("at most %d pages", maxPages)}
}
