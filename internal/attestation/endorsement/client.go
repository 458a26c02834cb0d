package endorsement

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/base/retry"
)

// Host answers for Google's public bucket of endorsements.
const Host = "storage.googleapis.com"

// Path is where the endorsement of an MRTD lies on Host.
func Path(mrtd tdx.Register) string {
	return "/gce_tcb_integrity/ovmf_x64_csm/tdx/" + mrtd.String() + ".binarypb"
}

const deadline = time.Minute // for all attempts together

// Client asks for endorsements; it verifies nothing.
type Client struct {
	HTTP *http.Client
	// Wait is a pause between attempts; nil: a real one.
	Wait func(context.Context, time.Duration) error
}

// Fetch is the message that Google has for an MRTD. The error is ErrNone when the
// bucket says that it has none; any other means that nobody knows.
func (c *Client) Fetch(ctx context.Context, mrtd tdx.Register) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	policy := retry.Usual()
	policy.Wait = c.Wait
	var out []byte
	err := policy.Do(ctx, func(int) (err error) {
		out, err = c.fetch(ctx, "https://"+Host+Path(mrtd))
		return err
	}, retry.HTTP)
	switch {
	case err == nil, errors.Is(err, ErrNone):
		return out, err
	case errors.Is(err, file.ErrTooLarge):
		return nil, &fault.Error{Code: fault.Verification, Message: "the endorsement is too large", Err: err,
			Expected: fmt.Sprintf("at most %d bytes", MaxSize)}
	}
	return nil, &fault.Error{Code: fault.General, Message: "Google cannot be asked about its endorsement of the firmware",
		Err: err, Hint: "run the same command again; whether it is endorsed is not known"}
}

func (c *Client) fetch(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := c.HTTP.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusNotFound {
		return nil, missing(response)
	}
	if err := retry.Refused(response); err != nil {
		return nil, fmt.Errorf("%s: %w", url, err)
	}
	return file.ReadAll(response.Body, MaxSize)
}

// missing tells an object that is not there, which is an answer, from a bucket
// that is not, and from the page of some other server, which are none.
func missing(response *http.Response) error {
	body, err := file.ReadAll(response.Body, 64<<10)
	if err != nil {
		return err
	}
	var refusal struct {
		XMLName xml.Name `xml:"Error"`
		Code    string   `xml:"Code"`
	}
	if xml.Unmarshal(body, &refusal) == nil && refusal.Code == "NoSuchKey" {
		return ErrNone
	}
	return fmt.Errorf("%w, and not in Cloud Storage's words for an object that it does not have: %.80q",
		retry.Refused(response), body)
}
