package ita

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/retry"
)

const (
	attempts     = 4
	firstPause   = time.Second      // doubled after each attempt
	maxPause     = 30 * time.Second // a longer Retry-After is reported instead of waited for
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

// busy says that the same request may succeed later.
func (e *refused) busy() bool {
	return e.status == http.StatusTooManyRequests || e.status >= http.StatusInternalServerError
}

// ask does one exchange and repeats it while the service is busy or out of
// reach. Nothing that is asked for has an effect there.
func (c *Client) ask(ctx context.Context, method, url string, body []byte) ([]byte, error) {
	for attempt := 0; ; attempt++ {
		data, err := c.once(ctx, method, url, body)
		pause, again := retryable(err, attempt)
		if !again || attempt+1 == attempts || ctx.Err() != nil {
			return data, err
		}
		if pause > maxPause {
			return nil, fmt.Errorf("asked to wait %s, longer than %s: %w", pause, maxPause, err)
		}
		if retry.For(ctx, pause) != nil {
			return nil, err
		}
	}
}

func retryable(err error, attempt int) (time.Duration, bool) {
	backoff := firstPause << attempt
	var answer *refused
	switch {
	case err == nil || errors.Is(err, errTooLarge):
		return 0, false
	case errors.As(err, &answer):
		return max(backoff, answer.after), answer.busy()
	}
	return backoff, true // the network
}

func (c *Client) once(ctx context.Context, method, url string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json, application/pkix-crl")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if strings.HasPrefix(url, c.api+"/") {
		request.Header.Set("x-api-key", c.key())
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close() //nolint:errcheck // read to its end or given up
	data, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, err
	case response.StatusCode != http.StatusOK:
		return nil, &refused{response.StatusCode, c.repeatable(data), c.retryAfter(response.Header.Get("Retry-After"))}
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

// retryAfter reads both forms of RFC 9110: seconds, or a date.
func (c *Client) retryAfter(value string) time.Duration {
	if seconds, err := strconv.Atoi(value); err == nil && seconds > 0 {
		return time.Duration(min(seconds, 1<<20)) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(c.now()))
	}
	return 0
}
