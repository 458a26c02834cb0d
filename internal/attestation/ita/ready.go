package ita

import (
	"context"
	"encoding/json"
	"net/http"
)

// Ready asks for a nonce, which has no effect there: address and key are those
// of the service when it gives one.
func (c *Client) Ready(ctx context.Context) error {
	data, err := c.ask(ctx, http.MethodGet, c.api+"/appraisal/v2/nonce", nil)
	if err != nil {
		return c.explain("a nonce", err)
	}
	var nonce struct{ Val, Iat, Signature []byte }
	if err := json.Unmarshal(data, &nonce); err != nil || len(nonce.Val) == 0 || len(nonce.Signature) == 0 {
		return failed("the answer holds no nonce", err)
	}
	return nil
}
