package trust

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/base/retry"
)

// deadline bounds one request.
const deadline = 30 * time.Second

// fetcher is go-tuf's way out: our transport, our schedule of retries, and a
// memory of why the repository could not be asked.
type fetcher struct {
	client  *http.Client
	wait    func(context.Context, time.Duration) error
	copied  bool // there is a copy to fall back on: whoever is offline should not wait long
	ctx     context.Context
	roots   map[string][]byte // that were fetched, by their names
	unasked error
}

func (f *fetcher) begin(ctx context.Context) { f.ctx, f.unasked = ctx, nil }

// DownloadFile implements go-tuf's Fetcher.
func (f *fetcher) DownloadFile(address string, limit int64, _ time.Duration) (raw []byte, err error) {
	policy := retry.Usual()
	policy.Wait = f.wait
	err = policy.Do(f.ctx, func(int) error {
		raw, err = f.get(address, limit)
		return err
	}, f.judge)
	isRoot := strings.HasSuffix(address, ".root.json")
	var answer *retry.Answer
	switch {
	case err == nil && isRoot:
		f.roots[path.Base(address)] = raw
	case err == nil, errors.Is(err, file.ErrTooLarge):
	case errors.As(err, &answer) && isRoot && (answer.Code == http.StatusNotFound || answer.Code == http.StatusForbidden):
		err = &metadata.ErrDownloadHTTP{StatusCode: answer.Code, URL: address} // there is no newer root
	default:
		f.unasked = fmt.Errorf("%s: %w", address, err)
	}
	return raw, err
}

var once = &retry.Class{Attempts: 2}

func (f *fetcher) judge(err error) (*retry.Class, time.Duration) {
	class, asked := retry.HTTP(err)
	var request *url.Error
	if class != nil && f.copied && errors.As(err, &request) {
		class = once
	}
	return class, asked
}

func (f *fetcher) get(address string, limit int64) ([]byte, error) {
	r, err := http.NewRequestWithContext(f.ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", "mero-tee")
	response, err := f.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if err := retry.Refused(response); err != nil {
		return nil, err
	}
	return file.ReadAll(response.Body, limit)
}
