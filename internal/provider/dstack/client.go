// Package dstack deploys an application on Phala dstack, through the provider's API.
//
// Its promise: what runs after Deploy is the application whose bytes were
// handed in (the provider's compose hash equals ours, or it does not start),
// and when Deploy fails nothing that it made stays behind.
package dstack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/base/retry"
)

const (
	apiVersion  = "2026-01-21"     // X-Phala-Version: the shapes below are this version's
	callTimeout = 60 * time.Second // one call; provisioning takes the longest
	maxAnswer   = 4 << 20
)

// Client calls one provider. It is safe for concurrent use.
type Client struct {
	base string
	key  string
	http *http.Client

	Wait func(ctx context.Context, d time.Duration) error // between questions; nil: retry.For
}

// New is a client of the API at base (PHALA_DSTACK_URL, without a trailing
// slash or with one) with the given API key.
func New(base, key string, transport http.RoundTripper) *Client {
	return &Client{base: strings.TrimRight(base, "/"), key: key,
		http: &http.Client{Transport: transport, Timeout: callTimeout, CheckRedirect: stay}}
}

// Provisioned is an application that the provider has accepted and not yet created.
type Provisioned struct {
	AppID       string `json:"app_id"`       // 40 hex digits
	ComposeHash string `json:"compose_hash"` // 64 hex digits, with or without "sha256:"
}

// CVM is what the provider says about one confidential VM.
type CVM struct {
	UUID      string     `json:"vm_uuid"`
	AppID     string     `json:"app_id"`
	Name      string     `json:"name"`
	Status    string     `json:"status"` // creating, created, starting, running, stopped, failed
	Endpoints []Endpoint `json:"endpoints"`
	Gateway   Gateway    `json:"gateway"`
}

// Endpoint is one published port of an application.
type Endpoint struct {
	App      string `json:"app"`      // URL of the application
	Instance string `json:"instance"` // URL of this instance
}

// Gateway is the reverse proxy in front of the CVMs.
type Gateway struct {
	BaseDomain string `json:"base_domain"`
}

// Provision hands the application to the provider.
func (c *Client) Provision(ctx context.Context, app App) (*Provisioned, error) {
	if err := app.check(); err != nil {
		return nil, err
	}
	var out Provisioned
	err := c.call(ctx, http.MethodPost, "/cvms/provision", provision{
		Name: app.Name, InstanceType: app.InstanceType, Region: app.Region,
		KMS: "PHALA", ComposeFile: app.Compose,
	}, &out)
	return &out, err
}

type provision struct {
	Name         string          `json:"name"`
	InstanceType string          `json:"instance_type"`
	Region       string          `json:"region,omitempty"`
	KMS          string          `json:"kms"`
	PreferDev    bool            `json:"prefer_dev"` // false: the dev cluster has other RTMR2 and RTMR3
	Listed       bool            `json:"listed"`
	ComposeFile  json.RawMessage `json:"compose_file"`
}

// Create makes the CVM of a provisioned application.
func (c *Client) Create(ctx context.Context, p *Provisioned) (*CVM, error) {
	var out CVM
	err := c.call(ctx, http.MethodPost, "/cvms", p, &out)
	return &out, err
}

// Get asks for a CVM by app id ("app_" and 40 hex digits), UUID or name.
func (c *Client) Get(ctx context.Context, id string) (*CVM, error) {
	var out CVM
	err := c.call(ctx, http.MethodGet, "/cvms/"+url.PathEscape(id), nil, &out)
	return &out, err
}

// Start starts a CVM; one that already runs is left alone.
func (c *Client) Start(ctx context.Context, id string) error {
	err := c.call(ctx, http.MethodPost, "/cvms/"+url.PathEscape(id)+"/start", nil, nil)
	if isStatus(err, http.StatusConflict) || err != nil && strings.Contains(err.Error(), "already running") {
		return nil
	}
	return err
}

// Delete removes a CVM; one that does not exist is fine.
func (c *Client) Delete(ctx context.Context, id string) error {
	err := c.call(ctx, http.MethodDelete, "/cvms/"+url.PathEscape(id), nil, nil)
	if isStatus(err, http.StatusNotFound) {
		return nil
	}
	return err
}

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	var content bytes.Buffer
	if in != nil {
		enc := json.NewEncoder(&content)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(in); err != nil {
			return err
		}
	}
	policy := retry.Usual()
	policy.Wait = c.Wait
	var data []byte
	err := policy.Do(ctx, func(int) (err error) {
		data, err = c.send(ctx, method, path, content.Bytes())
		return err
	}, judge(method))
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("%s %s: the answer is not the JSON expected: %w", method, path, err)
	}
	return nil
}

// judge lets what the provider did not take be sent again, and a question that it did not answer too.
func judge(method string) retry.Judge {
	return func(err error) (*retry.Class, time.Duration) {
		var r *Refusal
		var failed *url.Error
		question := method == http.MethodGet || method == http.MethodDelete
		switch {
		case errors.As(err, &r):
			if r.Status == http.StatusTooManyRequests && r.after > 0 || question && r.Status >= http.StatusInternalServerError {
				return passing, r.after
			}
		case question && errors.As(err, &failed) && failed.Op != "parse":
			return passing, 0
		}
		return nil, 0 // a 429 without a time speaks of the workspace's quota
	}
}

var passing = &retry.Class{}

func (c *Client) send(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, &fault.Error{Code: fault.Usage, Message: "PHALA_DSTACK_URL", Err: err}
	}
	req.Header.Set("X-API-Key", c.key)
	req.Header.Set("X-Phala-Version", apiVersion)
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	return c.read(req)
}

// read sends req and returns the body of a 2xx answer.
func (c *Client) read(req *http.Request) ([]byte, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := file.ReadAll(resp.Body, maxAnswer)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", req.Method, req.URL.Path, err)
	}
	if resp.StatusCode/100 != 2 {
		return nil, refused(resp, data)
	}
	return data, nil
}

// stay refuses redirects: net/http would carry X-API-Key along to another host.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
