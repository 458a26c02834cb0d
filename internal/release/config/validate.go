package config

import (
	"encoding/json"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"

	"github.com/calimero-network/mero-tee/internal/release"
)

// What values must be, in words.
const (
	aVersion  = "X.Y.Z or X.Y.Z-rc.N without a leading v"
	aProfile  = "debug, debug-read-only or locked-read-only"
	anAddress = "an https URL without credentials and fragment"
	aToken    = "a token: one line of visible characters" //nolint:gosec // a form, and none itself
)

var (
	numberForm   = regexp.MustCompile(`^[1-9][0-9]{0,17}$`)
	projectForm  = regexp.MustCompile(`^[a-z][-a-z0-9]{4,28}[a-z0-9]$`)
	zoneForm     = regexp.MustCompile(`^[a-z]+(?:-[a-z]+)+[0-9]+-[a-z0-9]{1,8}$`)
	familyForm   = regexp.MustCompile(`^[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?$`)
	registryForm = regexp.MustCompile(`^[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?(?::[0-9]{1,5})?` +
		`(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*){1,8}$`)
)

func form(f *regexp.Regexp, why string) func(*Config, string) string {
	return func(_ *Config, v string) string { return unless(f.MatchString(v), why) }
}

func unless(ok bool, why string) string {
	if ok {
		return ""
	}
	return why
}

func version(_ *Config, v string) string {
	_, err := release.ParseVersion(v)
	return unless(err == nil, "not a version")
}

func profile(_ *Config, v string) string {
	_, err := release.ParseProfile(v)
	return unless(err == nil, "an unknown profile")
}

func repository(_ *Config, v string) string {
	return unless(release.ValidRepository(v), "not a GitHub repository")
}

// address allows a query: ACTIONS_ID_TOKEN_REQUEST_URL has one, the version of its API.
func address(_ *Config, v string) string {
	u, err := url.Parse(v)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return "not a URL"
	case u.Scheme != "https":
		return "not https"
	case u.User != nil:
		return "a URL with credentials in it"
	}
	return unless(u.Fragment == "", "a URL with a fragment")
}

func hostAlone(c *Config, v string) string {
	if why := address(c, v); why != "" {
		return why
	}
	u, err := url.Parse(strings.TrimSuffix(v, "/"))
	alone := err == nil && u.String() == "https://"+u.Host && strings.HasPrefix(u.Host, "api.")
	return unless(alone, "not the address of an API alone")
}

// catalogPath stays inside the repository, in a rehearsal too: what is proposed there needs a place in it.
func catalogPath(_ *Config, v string) string {
	inside := filepath.IsLocal(v) && path.Clean(v) == v && !strings.Contains(v, `\`)
	return unless(inside && path.Ext(v) == ".json", "not a path of a JSON file inside the repository")
}

func absolute(_ *Config, v string) string { return unless(filepath.IsAbs(v), "not an absolute path") }

// token finds what copying brings along: a line end, a space, quotes of another alphabet.
func token(_ *Config, v string) string {
	strange := func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsGraphic(r) || r == ' ' }
	return unless(!strings.ContainsFunc(v, strange), "not one line of visible ASCII characters")
}

// accountKey looks at the outside of a key; the client of Compute Engine reads the key itself.
func accountKey(_ *Config, v string) string {
	var k struct {
		Type  string `json:"type"`
		Email string `json:"client_email"`
		PEM   string `json:"private_key"`
	}
	switch {
	case json.Unmarshal([]byte(v), &k) != nil:
		return "not JSON"
	case k.Type != "service_account":
		return "not of the type service_account"
	case k.Email == "":
		return "without client_email"
	}
	return unless(strings.Contains(k.PEM, "PRIVATE KEY"), "without a private key in PEM")
}
