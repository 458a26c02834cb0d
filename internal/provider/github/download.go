package github

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/cli/go-gh/v2/pkg/api"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

const maxRedirects = 5

// Download writes the bytes of an asset that GitHub listed, exactly, and checks
// their number and GitHub's digest. Where the connection breaks it is asked for
// again, and w gets what follows. After an error w holds a part.
func (c *Client) Download(ctx context.Context, a Asset, w io.Writer) error {
	doing := fmt.Sprintf("download %q", a.Name)
	sum := sha256.New()
	to := &sink{next: io.MultiWriter(w, sum)}
	if err := c.retry(ctx, func(int) error { return c.goOn(ctx, a, to) }); err != nil {
		return explain(doing, err)
	}
	got := digest.Digest(sum.Sum(nil)).String()
	if to.n == a.Size && (a.Digest == "" || a.Digest == got) {
		return nil
	}
	return fault.Mismatch(fmt.Sprintf("download %q: other bytes than GitHub announced", a.Name),
		fmt.Sprintf("%d bytes, %s", a.Size, a.Digest), fmt.Sprintf("%d bytes or more, %s", to.n, got))
}

// sink counts what was written. Its error is final, as no other download would be written either.
type sink struct {
	next io.Writer
	n    int64
}

func (s *sink) Write(b []byte) (int, error) {
	n, err := s.next.Write(b)
	s.n += int64(n)
	if err != nil {
		err = &fault.Error{Code: fault.General, Message: "cannot write what is downloaded", Err: err}
	}
	return n, err
}

// goOn writes what follows the bytes that are written already.
func (c *Client) goOn(ctx context.Context, a Asset, to *sink) error {
	var body io.ReadCloser
	var p *progress
	err := c.late(ctx, func() (err error) {
		body, p, err = c.open(ctx, a)
		return err
	})
	if err != nil {
		return err
	}
	defer p.stop()
	defer body.Close()
	if _, err = io.CopyN(io.Discard, body, to.n); err == nil {
		// One byte more than promised is enough to know that it is too long.
		_, err = io.Copy(to, io.LimitReader(body, a.Size+1-to.n))
	}
	if err != nil {
		return p.cause(err)
	}
	return nil
}

// open avoids go-gh, which rewrites control characters in JSON bodies.
func (c *Client) open(ctx context.Context, a Asset) (io.ReadCloser, *progress, error) {
	ctx, p := watch(ctx)
	resp, err := c.fetch(ctx, a) //nolint:bodyclose // who reads it closes it
	if err != nil {
		p.stop()
		return nil, nil, p.cause(err)
	}
	return p.body(resp.Body), p, nil
}

func (c *Client) fetch(ctx context.Context, a Asset) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.source(a), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/octet-stream")
	req.Header.Set("Accept-Encoding", "identity") // else net/http may unpack a .gz on the way
	req.Header.Set("User-Agent", "mero-tee")
	if req.URL.Host == apiHost {
		req.Header.Set("X-GitHub-Api-Version", apiVersion)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "token "+c.token)
	}
	resp, err := c.plain.Do(req)
	if err != nil {
		return nil, withoutQuery(err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswer)
		resp.Request.URL.RawQuery = ""
		return nil, api.HandleHTTPError(resp)
	}
	return resp, nil
}

// source is the API for those with a token (it also serves drafts), and
// github.com for a stranger: 60 API calls an hour would not verify two releases.
func (c *Client) source(a Asset) string {
	if c.token == "" && strings.HasPrefix(a.DownloadURL, "https://"+webHost+"/"+c.repository+"/releases/download/") {
		return a.DownloadURL
	}
	return "https://" + apiHost + "/" + c.path(fmt.Sprintf("releases/assets/%d", a.ID))
}

// withoutCredentials lets the plain client follow GitHub to its object store,
// which must not see the token and refuses requests that carry one.
func withoutCredentials(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	if req.URL.Scheme != "https" {
		return fmt.Errorf("redirect to %s, not https", req.URL.Scheme)
	}
	req.Header.Del("Authorization")
	req.Header.Del("Referer")
	return nil
}

// withoutQuery hides the signature of a pre-signed address from error messages.
func withoutQuery(err error) error {
	var failed *url.Error
	if errors.As(err, &failed) {
		failed.URL, _, _ = strings.Cut(failed.URL, "?")
	}
	return err
}
