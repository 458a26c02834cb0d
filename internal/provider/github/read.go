package github

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
)

// ReadFile is the content of a file of the repository on a branch; ErrNotFound
// when there is none.
func (c *Client) ReadFile(ctx context.Context, path, branch string) ([]byte, error) {
	doing := fmt.Sprintf("read %q on branch %q", path, branch)
	f, err := c.content(ctx, path, branch)
	if err != nil {
		return nil, explain(doing, err)
	}
	if f.SHA == "" {
		return nil, fmt.Errorf("%s: %w", doing, ErrNotFound)
	}
	data, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(f.Content, "\n", ""))
	if err != nil || f.Encoding != "base64" {
		return nil, fmt.Errorf("%s: GitHub answered no base64 (%q): %w", doing, f.Encoding, err)
	}
	return data, nil
}
