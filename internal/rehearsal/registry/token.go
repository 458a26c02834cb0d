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

// tokens hands out bearer tokens and honours them: {expiry}.{scope}.{mac}, under
// a key that lives as long as the process.
type tokens struct {
	password string
	key      []byte
	now      func() time.Time
}

func newTokens(password string, now func() time.Time) tokens {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // crypto/rand never fails since Go 1.24
	return tokens{password: password, key: key, now: now}
}

// issue answers GET /token?scope=repository:NAME:pull,push. Without a password
// the token only allows pulling; with a wrong one there is none.
func (t tokens) issue(w http.ResponseWriter, req *http.Request) {
	_, password, given := req.BasicAuth()
	if given && subtle.ConstantTimeCompare([]byte(password), []byte(t.password)) != 1 {
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
		return
	}
	scope := "pull"
	for _, asked := range req.URL.Query()["scope"] {
		parts := strings.Split(asked, ":")
		if given && len(parts) == 3 && parts[0] == "repository" && slices.Contains(strings.Split(parts[2], ","), "push") {
			scope += " push:" + parts[1]
		}
	}
	token := t.sign(strconv.FormatInt(t.now().Add(lifetime).Unix(), 10) + "." +
		base64.RawURLEncoding.EncodeToString([]byte(scope)))
	w.Header().Set("Content-Type", "application/json")
	answer := map[string]any{"token": token, "expires_in": int(lifetime.Seconds())}
	_ = json.NewEncoder(w).Encode(answer) // the client went away
}

func (t tokens) sign(payload string) string {
	mac := hmac.New(sha256.New, t.key)
	mac.Write([]byte(payload))
	return payload + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// allows says whether the token is ours, still valid, and good for the scope.
func (t tokens) allows(token, scope string) bool {
	end := strings.LastIndexByte(token, '.')
	if end < 0 || subtle.ConstantTimeCompare([]byte(t.sign(token[:end])), []byte(token)) != 1 {
		return false
	}
	expiry, encoded, _ := strings.Cut(token[:end], ".")
	unix, err := strconv.ParseInt(expiry, 10, 64)
	if err != nil || !t.now().Before(time.Unix(unix, 0)) {
		return false
	}
	granted, err := base64.RawURLEncoding.DecodeString(encoded)
	return err == nil && slices.Contains(strings.Fields(string(granted)), scope)
}

// admit answers 401 with the challenge that leads to a token, as GHCR does
// even for public images.
func (t tokens) admit(w http.ResponseWriter, req *http.Request) bool {
	repository, ok := repositoryOf(req.URL.Path)
	scope, actions := "pull", "pull"
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		scope, actions = "push:"+repository, "pull,push"
	}
	if token, bearer := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer "); bearer && t.allows(token, scope) {
		return true
	}
	challenge := fmt.Sprintf(`Bearer realm="%s/token",service=%q`, base(req), req.Host)
	if ok {
		challenge += fmt.Sprintf(`,scope="repository:%s:%s"`, repository, actions)
	}
	w.Header().Set("WWW-Authenticate", challenge)
	refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
	return false
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
