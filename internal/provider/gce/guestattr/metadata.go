package guestattr

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/base/retry"
)

// Host is where a VM of Compute Engine finds its metadata, and HostVariable the
// environment variable that names another place, "host:port", as Google's own
// clients read it.
const (
	Host         = "metadata.google.internal"
	HostVariable = "GCE_METADATA_HOST"
)

const (
	callTimeout  = 10 * time.Second
	pace         = 400 * time.Millisecond // Google allows bursts of three writes in a second, and ten in a minute
	maxAttribute = 256 << 10              // bytes of one instance attribute
)

// Metadata is a VM's metadata server, asked from inside. While it cannot be
// reached, as at boot before the network is up, calls wait until ctx ends.
type Metadata struct {
	Host string // empty: the constant
	HTTP *http.Client
	Wait func(ctx context.Context, d time.Duration) error // nil: retry.For
}

// Attribute reads an attribute of the instance; absent is "" without an error.
func (m *Metadata) Attribute(ctx context.Context, name string) (string, error) {
	body, status, err := m.call(ctx, http.MethodGet, "attributes/"+url.PathEscape(name), "")
	if err != nil || status == http.StatusNotFound {
		return "", err
	}
	if status != http.StatusOK {
		return "", fmt.Errorf("attribute %s: the metadata server answered %d", name, status)
	}
	return body, nil
}

// Publish writes a report as guest attributes of the namespace, no faster than
// the server takes them.
func (m *Metadata) Publish(ctx context.Context, namespace, name string, report []byte) error {
	entries, err := Encode(name, report)
	if err != nil {
		return err
	}
	for i, e := range entries {
		if i > 0 {
			err = retry.Policy{Wait: m.Wait}.Pause(ctx, pace)
		}
		if err == nil {
			err = m.put(ctx, url.PathEscape(namespace)+"/"+url.PathEscape(e.Key), e.Value)
		}
		if err != nil {
			return fmt.Errorf("guest attribute %s: %w", e.Key, err)
		}
	}
	return nil
}

func (m *Metadata) put(ctx context.Context, path, value string) error {
	_, status, err := m.call(ctx, http.MethodPut, "guest-attributes/"+path, value)
	if err == nil && status/100 != 2 {
		err = fmt.Errorf("the metadata server answered %d: is enable-guest-attributes=TRUE set?", status)
	}
	return err
}

var (
	overloaded = &retry.Class{Attempts: 16} // a minute, in which the server's quota fills again
	absent     = &retry.Class{}
)

// call repeats a request, which is idempotent, while the server is overloaded or not there.
func (m *Metadata) call(ctx context.Context, method, path, body string) (answer string, status int, err error) {
	p := retry.Policy{First: 250 * time.Millisecond, Most: 5 * time.Second, Wait: m.Wait}
	err = p.Do(ctx, func(int) (err error) {
		answer, status, err = m.once(ctx, method, path, body)
		if err == nil && retry.Busy(status) {
			return errOverloaded
		}
		return err
	}, func(err error) (*retry.Class, time.Duration) {
		switch {
		case errors.Is(err, file.ErrTooLarge):
			return nil, 0
		case errors.Is(err, errOverloaded):
			return overloaded, 0
		}
		return absent, 0
	})
	if errors.Is(err, errOverloaded) {
		err = nil // the caller says what was answered
	}
	return answer, status, err
}

var errOverloaded = errors.New("the metadata server is overloaded")

func (m *Metadata) once(ctx context.Context, method, path, body string) (string, int, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+cmp.Or(m.Host, Host)+"/computeMetadata/v1/instance/"+
		path, strings.NewReader(body))
	if err != nil {
		return "", 0, err
	}
	req.Header.Set("Metadata-Flavor", "Google")
	resp, err := m.HTTP.Do(req)
	if err != nil {
		return "", 0, err
	}
	defer resp.Body.Close()
	data, err := file.ReadAll(resp.Body, maxAttribute)
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return string(data), resp.StatusCode, err
}
