package kms

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/base/retry"
)

const (
	maxPolicy    = 1 << 20 // bytes; a tuple has about 700
	maxRedirects = 5       // GitHub redirects an asset once
)

// redirect keeps a redirected fetch on https and finite.
func redirect(r *http.Request, via []*http.Request) error {
	if r.URL.Scheme != "https" || len(via) > maxRedirects {
		return fmt.Errorf("refused redirect %d to %s://%s", len(via), r.URL.Scheme, r.URL.Host)
	}
	return nil
}

// fetch reads at most limit bytes from u, which is https or file.
func (s *policySource) fetch(ctx context.Context, u *url.URL, limit int64) ([]byte, error) {
	if u.Scheme == "file" {
		return file.Read(u.Path, limit)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // read side
	if err := retry.Refused(resp); err != nil {
		return nil, fmt.Errorf("%s %w", u.Host, err)
	}
	return file.ReadAll(resp.Body, limit)
}
