package sign

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	neturl "net/url"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

const (
	// Audience is the one that Fulcio demands of a token.
	Audience = "sigstore"

	maxToken      = 64 << 10 // bytes; GitHub's have about 2 KB
	tokenDeadline = 30 * time.Second
)

// TokenSource gives an identity token (a JWT).
type TokenSource func(ctx context.Context) (string, error)

// RequestToken speaks the protocol of the Actions runner: a GET of url
// (ACTIONS_ID_TOKEN_REQUEST_URL) with the audience appended and bearer
// (ACTIONS_ID_TOKEN_REQUEST_TOKEN) in the header, answered by {"value": JWT}.
func RequestToken(client *http.Client, url, bearer, audience string) TokenSource {
	return func(ctx context.Context) (string, error) {
		if url == "" || bearer == "" {
			return "", &fault.Error{Code: fault.Usage, Message: "no identity to sign with",
				Expected: "ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN", Got: "at least one is empty",
				Hint: "in GitHub Actions give the job the permission `id-token: write`"}
		}
		ctx, cancel := context.WithTimeout(ctx, tokenDeadline)
		defer cancel()
		token, err := requestToken(ctx, client, url, bearer, audience)
		if err != nil {
			return "", &fault.Error{Code: fault.General, Message: "requesting an identity token", Err: err}
		}
		return token, nil
	}
}

func requestToken(ctx context.Context, client *http.Client, url, bearer, audience string) (string, error) {
	separator := "?"
	if strings.Contains(url, "?") {
		separator = "&"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+separator+"audience="+neturl.QueryEscape(audience), nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "bearer "+bearer)
	once := &http.Client{Transport: persistent{ctx: ctx, next: client.Transport}, CheckRedirect: noRedirect}
	response, err := once.Do(r)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %d", response.StatusCode) // not the body: it is no one's to log
	}
	var answer struct {
		Value string `json:"value"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxToken)).Decode(&answer); err != nil {
		return "", err
	}
	if strings.Count(answer.Value, ".") != 2 {
		return "", fmt.Errorf("the answer holds no token")
	}
	return answer.Value, nil
}

// noRedirect keeps the bearer where it was sent.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
