package github

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// Tag is a tag of the repository and the commit it leads to.
type Tag struct {
	Name   string
	Commit string // hex
}

// Tags lists all tags.
func (c *Client) Tags(ctx context.Context) ([]Tag, error) {
	listed, err := pages[struct {
		Name   string
		Commit struct{ SHA string }
	}](ctx, c, "tags", url.Values{})
	tags := make([]Tag, 0, len(listed))
	for _, t := range listed {
		tags = append(tags, Tag{Name: t.Name, Commit: t.Commit.SHA})
	}
	return tags, explain("list tags", err)
}

type object struct {
	Object struct{ Type, SHA string } `json:"object"`
}

const maxPeel = 5 // a tag of a tag of a tag is a curiosity, more is a loop

// TagCommit is the id of the commit that a tag leads to, through annotated
// tags; ErrNotFound when there is no such tag.
func (c *Client) TagCommit(ctx context.Context, tag string) (string, error) {
	doing := fmt.Sprintf("tag %q", tag)
	at, err := c.ref(ctx, "tags/"+segment(tag))
	for peeled := 0; err == nil && at.Object.Type == "tag" && peeled < maxPeel; peeled++ {
		path := "git/tags/" + segment(at.Object.SHA)
		at = object{}
		err = c.idempotent(ctx, http.MethodGet, path, nil, &at)
	}
	if err != nil {
		return "", explain(doing, err)
	}
	if at.Object.Type != "commit" {
		return "", fault.Mismatch(doing, "a tag of a commit", "a tag of a "+at.Object.Type)
	}
	return at.Object.SHA, nil
}

func (c *Client) ref(ctx context.Context, name string) (at object, err error) {
	err = c.idempotent(ctx, http.MethodGet, "git/ref/"+name, nil, &at)
	return at, err
}

// createRef may be repeated blindly: GitHub refuses a second ref of the same name with 422.
func (c *Client) createRef(ctx context.Context, ref, commit string) error {
	return c.idempotent(ctx, http.MethodPost, "git/refs", map[string]string{"ref": ref, "sha": commit}, nil)
}
