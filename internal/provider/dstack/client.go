// Package dstack deploys an application on Phala dstack, through the provider's API.
//
// Its promise: what runs after Deploy is the application whose bytes were
// handed in, under an app id that only the provider knows before; when Deploy
// fails nothing that it made stays behind; and no application that it did not
// make is touched, whatever its name, but by Update, which is told which one.
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
	AppID       string `json:"app_id"`       // 40 hex digits: the next free one, not reserved by this
	ComposeHash string `json:"compose_hash"` // 64 hex digits, with or without "sha256:"
	OSImageHash string `json:"os_image_hash,omitempty"`
}

// CVM is what the provider says about one confidential VM.
type CVM struct {
	AppID       string     `json:"app_id"`
	Name        string     `json:"name"`
	ComposeHash string     `json:"compose_hash"` // of the file that is stored
	Progress    *Progress  `json:"progress"`     // nil: nothing is being changed
	Endpoints   []Endpoint `json:"endpoints"`
	Gateway     Gateway    `json:"gateway"`
}

// Progress is a change under way.
type Progress struct {
	Target string `json:"target"`
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

// State is what the machine says about itself. Its status is a free word: what
// counts is ExitedAt and BootError.
type State struct {
	Status       string `json:"status"`
	ExitedAt     string `json:"exited_at"`
	BootProgress string `json:"boot_progress"`
	BootError    string `json:"boot_error"`
}

// Provision hands the application to the provider.
func (c *Client) Provision(ctx context.Context, app App) (*Provisioned, error) {
	if err := app.check(); err != nil {
		return nil, err
	}
	var out Provisioned
	err := c.call(ctx, http.MethodPost, "/cvms/provision", provision{
		Name: app.Name, InstanceType: app.InstanceType, Region: app.Region, Image: app.Image,
		KMS: "PHALA", ComposeFile: app.Compose,
	}, &out)
	if isCode(err, imageNotFound) || isCode(err, imageNotCompatible) {
		return nil, c.listImages(ctx, app.Image, err)
	}
	if err == nil {
		err = app.boots(&out)
	}
	return &out, err
}

// The codes of an OS image that does not exist, and of one that no node offers.
const imageNotFound, imageNotCompatible = "ERR-02-010", "ERR-02-013"

// Images are the names of the OS images that the provider offers, without those for development.
func (c *Client) Images(ctx context.Context) ([]string, error) {
	var out struct {
		Items []struct {
			Name string `json:"name"`
		} `json:"items"`
	}
	err := c.call(ctx, http.MethodGet, "/os-images?page_size=100&is_dev=false", nil, &out)
	var names []string
	for _, i := range out.Items {
		names = append(names, i.Name)
	}
	return names, err
}

// listImages adds the OS images that there are.
func (c *Client) listImages(ctx context.Context, image string, cause error) error {
	known := "those that the provider's console lists"
	if names, err := c.Images(ctx); err == nil {
		known = strings.Join(names, ", ")
	}
	return &fault.Error{Code: fault.Usage, Message: "the provider cannot boot the OS image " + image, Err: cause,
		Expected: "one of " + known, Got: image,
		Hint: "name another image in docker/mero-kms/dstack-platforms.json; go tool mage kms:observe adds one"}
}

type provision struct {
	Name         string          `json:"name"`
	InstanceType string          `json:"instance_type"`
	Region       string          `json:"region,omitempty"`
	Image        string          `json:"image,omitempty"`
	KMS          string          `json:"kms"`
	PreferDev    bool            `json:"prefer_dev"` // false: the dev cluster has other RTMR2 and RTMR3
	Listed       bool            `json:"listed"`
	ComposeFile  json.RawMessage `json:"compose_file"`
}

// Create makes the CVM of a provisioned application. Asked twice, the provider
// answers the one there is, and the one of somebody who took the id first.
func (c *Client) Create(ctx context.Context, p *Provisioned) (*CVM, error) {
	var out CVM
	err := c.call(ctx, http.MethodPost, "/cvms", map[string]string{"app_id": p.AppID, "compose_hash": p.ComposeHash}, &out)
	return &out, err
}

// Get asks for a CVM by app id ("app_" and 40 hex digits) or name.
func (c *Client) Get(ctx context.Context, id string) (*CVM, error) {
	var out CVM
	err := c.call(ctx, http.MethodGet, "/cvms/"+url.PathEscape(id), nil, &out)
	return &out, err
}

// State asks how the machine of a CVM is.
func (c *Client) State(ctx context.Context, id string) (*State, error) {
	var out State
	err := c.call(ctx, http.MethodGet, "/cvms/"+url.PathEscape(id)+"/state", nil, &out)
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

// DeleteOwn removes the CVM with that app id if it bears that name, and says
// whether it was there. An id that was given and not created may have become
// somebody else's: a CVM of another name is left alone.
func (c *Client) DeleteOwn(ctx context.Context, id, name string) (found bool, err error) {
	if found, err = c.Owns(ctx, id, name); !found || err != nil {
		return false, err
	}
	return true, c.Delete(ctx, id)
}

// Owns says whether there is a CVM with that app id and that name.
func (c *Client) Owns(ctx context.Context, id, name string) (bool, error) {
	cvm, err := c.Get(ctx, id)
	if isStatus(err, http.StatusNotFound) {
		return false, nil
	}
	return err == nil && cvm.Name == name, err
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
	}, judge)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("%s %s: the answer is not the JSON expected: %w", method, path, err)
	}
	return nil
}

// judge lets a call be made again when it was lost or not taken. Each of them
// may be: provisioning leaves nothing, and creating, starting, updating and
// deleting twice is done once.
func judge(err error) (*retry.Class, time.Duration) {
	var r *Refusal
	switch {
	case !errors.As(err, &r):
		if retry.Lost(err) {
			return passing, 0
		}
	case r.Status == http.StatusTooManyRequests && !r.quota():
		return limited, r.after
	case r.Status >= http.StatusInternalServerError:
		return passing, r.after
	}
	return nil, 0
}

var (
	passing = &retry.Class{}
	// limited is a 429, which need not say how long it lasts.
	limited = &retry.Class{Attempts: 6, Least: 5 * time.Second}
)

// userAgent names us: the provider's edge refuses the names that programs have by default.
const userAgent = "mero-tee (+https://github.com/calimero-network/mero-tee)"

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
	req.Header.Set("User-Agent", userAgent)
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
		return nil, refused(req, resp, data)
	}
	return data, nil
}

// stay refuses redirects: net/http would carry X-API-Key along to another host.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
