package ita

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/retry"
)

const (
	callDeadline = 45 * time.Second // one request
	maxAnswer    = 1 << 20          // bytes; the key set has about 17,000, a token 6,000
	maxSaid      = 200              // bytes of a refusal that are repeated
)

var errTooLarge = errors.New("the answer is too large")

// refused is an answer other than 200.
type refused struct {
	status int
	said   string
	after  time.Duration // Retry-After
}

func (e *refused) Error() string { return fmt.Sprintf("status %d %q", e.status, e.said) }

// ask does one exchange and repeats it while the service is busy or out of
// reach. Nothing that is asked for has an effect there.
func (c *Client) ask(ctx context.Context, method, url string, body []byte) (data []byte, err error) {
	return c.request(ctx, method, url, jsonType, body)
}

// list is ask for a revocation list, which is asked for without an Accept, as Intel's connector does.
func (c *Client) list(ctx context.Context, url string) ([]byte, error) {
	return c.request(ctx, http.MethodGet, url, "", nil)
}

const jsonType = "application/json"

func (c *Client) request(ctx context.Context, method, url, accept string, body []byte) (data []byte, err error) {
	policy := retry.Usual()
	policy.Longest = 30 * time.Second
	err = policy.Do(ctx, func(int) (err error) {
		data, err = c.once(ctx, method, url, accept, body)
		return err
	}, judge)
	return data, err
}

var passing = &retry.Class{}

func judge(err error) (*retry.Class, time.Duration) {
	var answer *refused
	switch {
	case errors.Is(err, errTooLarge), errors.As(err, &answer) && !retry.Busy(answer.status):
		return nil, 0
	case answer != nil:
		return passing, answer.after
	}
	return passing, 0 // the network
}

func (c *Client) once(ctx context.Context, method, url, accept string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if accept != "" {
		request.Header.Set("Accept", accept)
	}
	if body != nil {
		request.Header.Set("Content-Type", jsonType)
	}
	if strings.HasPrefix(url, c.api+"/") {
		request.Header.Set("x-api-key", c.key())
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, err
	case response.StatusCode != http.StatusOK:
		return nil, &refused{response.StatusCode, c.repeatable(data), retry.After(response.Header)}
	case len(data) > maxAnswer:
		return nil, fmt.Errorf("%w: more than %d bytes", errTooLarge, maxAnswer)
	}
	return data, nil
}

// repeatable is the beginning of a refusal's text, without our key: a gateway may echo it.
func (c *Client) repeatable(data []byte) string {
	said := strings.ReplaceAll(string(data), c.key(), "[ITA_API_KEY]")
	return strings.TrimSpace(said[:min(len(said), maxSaid)])
}
