// Package url is the part of go-getter's package of this name that syft compiles with.
package url

import "net/url"

// Parse is net/url's.
func Parse(raw string) (*url.URL, error) { return url.Parse(raw) }
