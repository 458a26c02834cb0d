// Package getter stands in for github.com/hashicorp/go-getter, with which syft
// fetches what somebody names by an address.
//
// Its promise: it fetches nothing. No scan of ours names an address, and the
// real one brings clients of three clouds and gRPC along, a third of all that is
// compiled for syft (2026-11-27).
package getter

import (
	"errors"
	"io"
	"net/http"
)

// ErrNothingIsFetched is what every fetch ends with.
var ErrNothingIsFetched = errors.New("this syft describes what lies on this machine, and fetches nothing")

// Getter is a way to fetch.
type Getter any

// The ways that syft names. None leads anywhere.
type (
	// HttpGetter would fetch over HTTP.
	HttpGetter struct {
		Client *http.Client
		Header http.Header
	}
	// FileGetter would copy a file.
	FileGetter struct{}
	// GitGetter would clone a repository.
	GitGetter struct{}
	// GCSGetter would fetch from Google Cloud Storage.
	GCSGetter struct{}
	// HgGetter would clone a repository.
	HgGetter struct{}
	// S3Getter would fetch from Amazon S3.
	S3Getter struct{}
)

// Client is a fetch.
type Client struct {
	Src, Dst string
	Dir      bool
	Getters  map[string]Getter
	Options  []ClientOption
}

// Get refuses.
func (*Client) Get() error { return ErrNothingIsFetched }

// ClientOption changes a fetch.
type ClientOption func(*Client) error

// ProgressTracker is told how far a fetch came.
type ProgressTracker interface {
	TrackProgress(src string, currentSize, totalSize int64, stream io.ReadCloser) io.ReadCloser
}

// WithProgress has nothing to tell of.
func WithProgress(ProgressTracker) func(*Client) error { return func(*Client) error { return nil } }

// Decompressor would unpack what was fetched.
type Decompressor any

// Decompressors unpack nothing.
var Decompressors map[string]Decompressor

// LimitedDecompressors are none.
func LimitedDecompressors(_ int, _ int64) map[string]Decompressor { return nil }

// WithDecompressors has nothing to unpack.
func WithDecompressors(map[string]Decompressor) ClientOption {
	return func(*Client) error { return nil }
}
