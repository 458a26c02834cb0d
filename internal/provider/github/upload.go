package github

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/cli/go-gh/v2/pkg/api"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// Upload streams a file into a release and checks what GitHub says it got. When
// an attempt's answer is lost, it is looked up first: a finished upload counts,
// a broken one is deleted.
func (c *Client) Upload(ctx context.Context, r *Release, f File) (Asset, error) {
	doing := fmt.Sprintf("upload %q", f.Name)
	if err := ValidAssetName(f.Name); err != nil {
		return Asset{}, err
	}
	if f.Size < 1 {
		return Asset{}, &fault.Error{Code: fault.Usage, Message: doing,
			Expected: "at least 1 byte; GitHub refuses empty assets", Got: "0 bytes"}
	}
	target, err := uploadURL(r.UploadURL, f.Name)
	if err != nil {
		return Asset{}, explain(doing, err)
	}
	var got Asset
	err = c.retry(ctx, func(attempt int) (err error) {
		if attempt > 0 {
			if done, _, err := c.landed(ctx, r.ID, f, &got); done || err != nil {
				return err
			}
		}
		got, err = c.send(ctx, target, f)
		if !exists(err) {
			return err
		}
		return c.again(ctx, r.ID, target, f, &got)
	})
	if err != nil {
		return Asset{}, explain(doing, err)
	}
	return got, arrived(f, got)
}

// again is for a name that is taken: by an attempt whose answer was lost, or by
// somebody else who was faster, whose bytes count (arrived compares); or by an
// upload that broke off earlier, in the place of which the file is sent once more.
func (c *Client) again(ctx context.Context, release int64, target string, f File, got *Asset) error {
	var done bool
	_, err := c.made(ctx, false, func() (bool, error) {
		var cleared bool
		var err error
		done, cleared, err = c.landed(ctx, release, f, got)
		return done || cleared, err
	})
	if done || err != nil {
		return err
	}
	*got, err = c.send(ctx, target, f)
	return err
}

// landed looks for what an earlier attempt left behind: the whole asset, or a broken one, which it clears away.
func (c *Client) landed(ctx context.Context, release int64, f File, got *Asset) (done, cleared bool, err error) {
	r, err := c.Release(ctx, release)
	if err != nil {
		return false, false, err
	}
	for _, a := range r.Assets {
		if a.Name != f.Name {
			continue
		}
		if a.State == StateUploaded {
			*got = a
			return true, false, nil
		}
		return false, true, c.DeleteAsset(ctx, a.ID)
	}
	return false, false, nil
}

// send streams the file. The release may have been made a moment ago: see late.
func (c *Client) send(ctx context.Context, target string, f File) (a Asset, err error) {
	err = c.late(ctx, func() error {
		a, err = c.sendOnce(ctx, target, f)
		return err
	})
	return a, err
}

func (c *Client) sendOnce(ctx context.Context, target string, f File) (Asset, error) {
	body, err := f.Open()
	if err != nil {
		return Asset{}, &fault.Error{Code: fault.General, Message: "open " + f.Name, Err: err}
	}
	ctx, p := watch(ctx)
	defer p.stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, p.body(body))
	if err != nil {
		return Asset{}, err
	}
	req.ContentLength = f.Size // GitHub refuses a chunked body
	req.Header.Set("Content-Type", f.ContentType)
	resp, err := c.upload.Do(req)
	if err != nil {
		return Asset{}, p.cause(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		return Asset{}, api.HandleHTTPError(resp)
	}
	var a Asset
	return a, json.NewDecoder(resp.Body).Decode(&a)
}

// uploadURL fills in the release's template; a template that points elsewhere gets neither bytes nor token.
func uploadURL(template, name string) (string, error) {
	base, _, _ := strings.Cut(template, "{")
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "https" || u.Host != uploadHost {
		return "", &fault.Error{Code: fault.General, Message: "upload URL of the release",
			Expected: "https://" + uploadHost + "/…", Got: fmt.Sprintf("%q", template)}
	}
	u.RawQuery = url.Values{"name": {name}}.Encode()
	return u.String(), nil
}

func arrived(f File, a Asset) error {
	want := fmt.Sprintf("%s, %d bytes, %s", f.Name, f.Size, f.Digest)
	if a.Name == f.Name && a.Size == f.Size && a.State == StateUploaded &&
		(a.Digest == "" || f.Digest == "" || a.Digest == f.Digest) {
		return nil
	}
	return fault.Mismatch("GitHub did not store what was uploaded",
		want, fmt.Sprintf("%s, %d bytes, %s (%s)", a.Name, a.Size, a.Digest, a.State))
}
