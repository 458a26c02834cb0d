package github

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// StateUploaded is the state of a whole asset. An upload that broke off leaves
// "starter": the OpenAPI description says "This may leave an empty asset with a
// state of `starter`. It can be safely deleted."
const StateUploaded = "uploaded"

// Asset is a file of a release.
type Asset struct {
	ID          int64  `json:"id"`
	Name        string `json:"name"`
	Size        int64  `json:"size"` // bytes
	State       string `json:"state"`
	Digest      string `json:"digest"`               // "sha256:" and 64 hex digits; empty for assets older than June 2025
	URL         string `json:"url"`                  // in the API
	DownloadURL string `json:"browser_download_url"` // on github.com; needs no API quota
	ContentType string `json:"content_type"`
}

// File is something to upload.
type File struct {
	Name        string
	Size        int64 // bytes, at least 1
	Digest      string
	ContentType string
	Open        func() (io.ReadCloser, error) // called once for each attempt
}

var assetName = regexp.MustCompile(`^[A-Za-z0-9_-](?:[A-Za-z0-9._-]{0,253}[A-Za-z0-9_-])?$`)

// ValidAssetName refuses names that GitHub would change ("GitHub renames asset
// filenames that have special characters, non-alphanumeric characters, and
// leading or trailing periods") and every name with a path in it.
func ValidAssetName(name string) error {
	if assetName.MatchString(name) {
		return nil
	}
	return &fault.Error{Code: fault.Usage, Message: "not a name for a release asset",
		Expected: "letters, digits, dots, dashes and underscores, without a dot at either end", Got: fmt.Sprintf("%q", name)}
}

// DeleteAsset removes an asset; one that is gone already is no error.
func (c *Client) DeleteAsset(ctx context.Context, id int64) error {
	err := c.idempotent(ctx, http.MethodDelete, fmt.Sprintf("releases/assets/%d", id), nil, nil)
	if notFound(err) {
		return nil
	}
	return explain(fmt.Sprintf("delete asset %d", id), err)
}
