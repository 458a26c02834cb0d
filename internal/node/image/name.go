package image

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// maxName is the length that Google allows (RFC 1035).
const maxName = 63

var nameForm = regexp.MustCompile(`^[a-z0-9-]+$`)

// contentForm is that of a content id: SHA-256 over everything that decides an image.
var contentForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Name is what the image of a profile is called. It names the release and
// the first 8 digits of the content id, so that other inputs get another name.
func Name(p release.Profile, v release.Version, contentID string) (string, error) {
	if !contentForm.MatchString(contentID) {
		return "", &fault.Error{Code: fault.Usage, Message: "content id", Expected: "64 lower-case hex digits", Got: fmt.Sprintf("%.100q", contentID)}
	}
	name := fmt.Sprintf("mero-tee-%s-%s-%s", p, hyphens(v), short(contentID))
	if len(name) > maxName || !nameForm.MatchString(name) {
		return "", &fault.Error{Code: fault.Usage, Message: "the image's name",
			Expected: fmt.Sprintf("at most %d of a-z, 0-9 and -", maxName), Got: fmt.Sprintf("%q, %d characters", name, len(name)),
			Hint: "shorten the version"}
	}
	return name, nil
}

// Labels are what the cloud's list of images shows of an image.
func Labels(p release.Profile, v release.Version, contentID string) map[string]string {
	return map[string]string{"owner": "mero-tee", "profile": string(p), "version": hyphens(v), "content": short(contentID)}
}

func short(contentID string) string { return contentID[:min(8, len(contentID))] }

func hyphens(v release.Version) string { return strings.ReplaceAll(v.String(), ".", "-") }
