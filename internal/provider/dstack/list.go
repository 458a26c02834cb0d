package dstack

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/retry"
)

// maxPages bounds a workspace's list.
const maxPages = 100

// pageSizes are tried one after the other: a provider that cannot make a long page in time may make a short one.
func pageSizes() []int { return []int{100, 30, 10} }

// Names are those of every CVM of the workspace, also of one that is being made
// or deleted. An answer of another shape is an error, never an empty list. Where
// the provider fails at a page, or does not answer, the list is read again from
// its beginning, in shorter pages, whose numbers mean something else.
func (c *Client) Names(ctx context.Context) (names []string, err error) {
	for _, size := range pageSizes() {
		names, err = c.names(ctx, size)
		var no *Refusal
		tooLong := errors.As(err, &no) && no.Status >= http.StatusInternalServerError || retry.Lost(err)
		if !tooLong || ctx.Err() != nil {
			break
		}
	}
	return names, err
}

// names reads the list in pages of a size.
func (c *Client) names(ctx context.Context, size int) ([]string, error) {
	var names []string
	for page := 1; page <= maxPages; page++ {
		var out struct {
			Items *[]struct {
				Name string `json:"name"`
			} `json:"items"`
			Pages *int `json:"pages"`
		}
		path := fmt.Sprintf("/cvms/paginated?page=%d&page_size=%d", page, size)
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
