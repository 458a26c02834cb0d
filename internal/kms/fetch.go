package kms

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
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

func (s *policySource) fetch(ctx context.Context) ([]byte, error) {
	if s.config.PolicyURL.Scheme == "file" {
		f, err := os.Open(s.config.PolicyURL.Path)
		if err != nil {
			return nil, err
		}
		defer f.Close() //nolint:errcheck // read side
		return readPolicy(f)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.config.PolicyURL.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // read side
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s", s.config.PolicyURL.Host, resp.Status)
	}
	return readPolicy(resp.Body)
}

func readPolicy(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxPolicy+1))
	if err == nil && len(data) > maxPolicy {
		err = fmt.Errorf("more than %d bytes", maxPolicy)
	}
	return data, err
}
