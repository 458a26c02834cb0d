package registry

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// lifetime of a bearer token, GHCR's five minutes.
const lifetime = 5 * time.Minute

// Rights are what a password allows with packages; reading is of private ones.
type Rights struct{ Read, Write bool }

// tokens hands out bearer tokens and honours them: {expiry}.{granted}.{mac}, under
// a key that lives as long as the process.
type tokens struct {
	rights func(password string) (Rights, bool)
	public func(repository string) bool
	key    []byte
	now    func() time.Time
}

func newTokens(o Options, public func(string) bool) tokens {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // crypto/rand never fails since Go 1.24
	return tokens{public: public, key: key, now: o.Now, rights: func(password string) (Rights, bool) {
		if subtle.ConstantTimeCompare([]byte(password), []byte(o.Token)) == 1 {
			return Rights{Read: true, Write: true}, true
		}
		if o.Rights == nil {
			return Rights{}, false
		}
		return o.Rights(password)
	}}
}

// grant is what a bearer token is good for.
type grant struct {
	Rights
	Pushes []string // repositories for which pushing was asked for
}

// issue answers GET /token?scope=repository:NAME:pull,push. Whoever has a
// password gets a token for what was asked: only its use shows what it is good
// for. Nobody gets one for a package that not everybody may see.
func (t tokens) issue(w http.ResponseWriter, req *http.Request) {
	_, password, given := req.BasicAuth()
	var g grant
	if given {
		var known bool
		if g.Rights, known = t.rights(password); !known {
			refuse(w, http.StatusForbidden, "DENIED", "denied")
			return
		}
	}
	for _, asked := range req.URL.Query()["scope"] {
		parts := strings.Split(asked, ":")
		if len(parts) != 3 || parts[0] != "repository" {
			continue
		}
		if !given && !t.public(parts[1]) {
			refuse(w, http.StatusForbidden, "DENIED", "requested access to the resource is denied")
			return
		}
		if given && slices.Contains(strings.Split(parts[2], ","), "push") {
			g.Pushes = append(g.Pushes, parts[1])
		}
	}
	w.Header().Set("Content-Type", "application/json")
	answer := map[string]any{"token": t.sign(g), "expires_in": int(lifetime.Seconds())}
	_ = json.NewEncoder(w).Encode(answer) // the client went away
}

func (t tokens) sign(g grant) string {
	what, _ := json.Marshal(g) // cannot fail
	return t.seal(strconv.FormatInt(t.now().Add(lifetime).Unix(), 10) + "." + base64.RawURLEncoding.EncodeToString(what))
}

func (t tokens) seal(payload string) string {
	mac := hmac.New(sha256.New, t.key)
	mac.Write([]byte(payload))
	return payload + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// open returns what a token of ours that is still valid is good for.
func (t tokens) open(token string) (g grant, ok bool) {
	end := strings.LastIndexByte(token, '.')
	if end < 0 || subtle.ConstantTimeCompare([]byte(t.seal(token[:end])), []byte(token)) != 1 {
		return g, false
	}
	expiry, encoded, _ := strings.Cut(token[:end], ".")
	unix, err := strconv.ParseInt(expiry, 10, 64)
	if err != nil || !t.now().Before(time.Unix(unix, 0)) {
		return g, false
	}
	what, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return g, false
	}
	err = json.Unmarshal(what, &g)
	return g, err == nil
}

// admit answers 401 with the challenge that leads to a token, as GHCR does
// even for public images.
func (t tokens) admit(w http.ResponseWriter, req *http.Request) (g grant, ok bool) {
	repository, named := repositoryOf(req.URL.Path)
	actions := "pull"
	if !reads(req) {
		actions = "pull,push"
	}
	if token, bearer := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer "); bearer {
		if g, ok = t.open(token); ok && (reads(req) || slices.Contains(g.Pushes, repository)) {
			return g, true
		}
	}
	challenge := fmt.Sprintf(`Bearer realm="%s/token",service=%q`, base(req), req.Host)
	if named {
		challenge += fmt.Sprintf(`,scope="repository:%s:%s"`, repository, actions)
	}
	w.Header().Set("WWW-Authenticate", challenge)
	refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
	return g, false
}

func reads(req *http.Request) bool {
	return req.Method == http.MethodGet || req.Method == http.MethodHead
}

func repositoryOf(path string) (string, bool) {
	rest := strings.TrimPrefix(path, "/v2/")
	for _, part := range []string{"/manifests/", "/blobs/", "/tags/", "/referrers/"} {
		if repository, _, ok := strings.Cut(rest, part); ok && repositoryForm.MatchString(repository) {
			return repository, true
		}
	}
	return "", false
}

// base is the URL that the client knows this host by. Only loopback is spoken
// to in the clear; a production name arrives here over the client's TLS.
func base(req *http.Request) string {
	host, _, err := net.SplitHostPort(req.Host)
	if err != nil {
		host = req.Host
	}
	if ip := net.ParseIP(host); req.TLS == nil && (host == "localhost" || ip != nil && ip.IsLoopback()) {
		return "http://" + req.Host
	}
	return "https://" + req.Host
}

// refuse answers with the error form of the distribution specification.
func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	answer := map[string]any{"errors": []map[string]string{{"code": code, "message": message}}}
	_ = json.NewEncoder(w).Encode(answer) // the client went away
}
