package kms_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/release"
)

// body is a request or an answer on its way: its fields by name.
type body = map[string]json.RawMessage

// proxy stands between a node and the service, as whoever ends TLS does: it
// reads everything, and changes what it likes.
type proxy struct {
	w       *world
	request func(path string, b body) // changes a request on its way; may be nil
	answer  func(path string, b body) // changes an answer on its way; may be nil
	own     *wire.SealingKey          // that it would like to be the receiver or the service with

	mu   sync.Mutex
	seen map[string][2]body // by path: the last request and answer, before they were changed
	all  bytes.Buffer       // everything that passed, before and after it was changed
}

func (p *proxy) RoundTrip(r *http.Request) (*http.Response, error) {
	sent, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	sent = p.pass(r.URL.Path, 0, sent, p.request)
	resp, err := http.Post(p.w.url+r.URL.Path, "application/json", bytes.NewReader(sent))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	said = p.pass(r.URL.Path, 1, said, p.answer)
	out := httptest.NewRecorder()
	out.WriteHeader(resp.StatusCode)
	_, _ = out.Write(said)
	return out.Result(), nil
}

// pass writes down what passes, of which side, and returns it as it goes on.
func (p *proxy) pass(path string, side int, data []byte, change func(string, body)) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all.Write(data)
	var came body
	if json.Unmarshal(data, &came) != nil {
		return data
	}
	both := p.seen[path]
	both[side] = came
	p.seen[path] = both
	goes := maps.Clone(came)
	if change != nil {
		change(path, goes)
	}
	data, _ = json.Marshal(goes) // raw messages that were read
	p.all.Write(data)
	return data
}

// throughProxy has a new node verify the service and ask for its key, all of it through the proxy.
func throughProxy(t *testing.T, p *proxy) ([]byte, *agent.Agent, error) {
	t.Helper()
	p.own, p.seen = wire.NewSealingKey(), map[string][2]body{}
	node := p.w.node(t, "1.0.0", release.Debug)
	node.HTTP = &http.Client{Transport: p}
	proved, err := node.VerifyKMS(t.Context(), "http://kms", agent.Expectation{Verifier: p.w.verifier,
		Registers: p.w.guest.td.Registers(), ComposeHash: composeHash, TCB: tcb.List{AllowedTCBStatus: []string{"UpToDate"}}})
	if err != nil {
		return nil, node, err
	}
	key, err := node.GetKey(t.Context(), "http://kms", proved.Transport)
	return key, node, err
}

// requireNothingLearned: the node has its own key or none, and what passed tells the key to nobody.
func requireNothingLearned(t *testing.T, p *proxy, key []byte, node *agent.Agent, err error, what string) {
	t.Helper()
	right := keyOf("merod/storage/debug/" + string(node.PeerID()))
	if err == nil {
		require.Equal(t, right, hex.EncodeToString(key), what)
	}
	raw, decodeErr := hex.DecodeString(right)
	require.NoError(t, decodeErr)
	for _, told := range []string{right, strings.ToUpper(right), b64([]byte(right)), b64(raw),
		base64.RawURLEncoding.EncodeToString(raw)} {
		require.NotContains(t, p.all.String(), told, what)
	}
	p.requireItCannotOpen(t, node, what)
}

// session is what the proxy knows of the release that it stands in.
type session struct {
	release       wire.Release
	sealTo        wire.PublicKey
	nonce, sealed []byte
}

func (p *proxy) session(peer wire.PeerID) (s session) {
	s.release = wire.Release{Nonce: [32]byte(p.bytes("/challenge", 1, "nonceB64")), PeerID: peer}
	s.sealTo = wire.PublicKey(p.bytes("/get-key", 0, "sealToB64"))
	s.nonce, s.sealed = p.bytes("/get-key", 1, "sealNonceB64"), p.bytes("/get-key", 1, "sealedKeyB64")
	return s
}

// bytes is a field of base64, none when it was not there.
func (p *proxy) bytes(path string, side int, field string) (b []byte) {
	_ = json.Unmarshal(p.seen[path][side][field], &b)
	return b
}

// requireItCannotOpen tries the proxy's own key on the sealed answer, as receiver and as service.
func (p *proxy) requireItCannotOpen(t *testing.T, node *agent.Agent, what string) {
	t.Helper()
	if len(p.seen["/get-key"][1]["sealedKeyB64"]) == 0 {
		return
	}
	s := p.session(node.PeerID())
	receiver, err := p.own.SealedBy(transportOf(p.w), s.release)
	require.NoError(t, err)
	service, err := p.own.SealTo(s.sealTo, s.release)
	require.NoError(t, err)
	for _, seals := range []*wire.Seals{receiver, service} {
		_, err := seals.Open(s.nonce, s.sealed)
		require.ErrorContains(t, err, "does not open", what)
	}
}

func text(s string) json.RawMessage { return json.RawMessage(`"` + s + `"`) }

func public(k *wire.SealingKey) json.RawMessage {
	key := k.Public()
	return text(b64(key[:]))
}

func TestAProxyThatOnlyReadsLearnsNothing(t *testing.T) {
	t.Parallel()
	p := &proxy{w: newWorld(t, nil)}
	key, node, err := throughProxy(t, p)
	require.NoError(t, err)
	require.Contains(t, p.all.String(), "sealedKeyB64")
	requireNothingLearned(t, p, key, node, err, "reads")
}

// tampering is what a proxy does to one field; was is the field of another node's session.
var tampering = map[string]func(b body, field string, was json.RawMessage){
	"drops":   func(b body, field string, _ json.RawMessage) { delete(b, field) },
	"empties": func(b body, field string, _ json.RawMessage) { b[field] = text("") },
	"replays": func(b body, field string, was json.RawMessage) { b[field] = was },
	"alters": func(b body, field string, _ json.RawMessage) {
		altered := bytes.Clone(b[field])
		if at := len(altered) / 2; altered[at] == 'A' || altered[at] == '0' {
			altered[at] = '1'
		} else {
			altered[at] = '0'
		}
		b[field] = altered
	},
	"nulls": func(b body, field string, _ json.RawMessage) { b[field] = json.RawMessage("null") },
}

// Every field of every request and answer, one at a time.
func TestAProxyThatTampersWithAFieldLearnsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	before := &proxy{w: w}
	_, _, err := throughProxy(t, before)
	require.NoError(t, err)
	tried := 0
	for path, session := range before.seen {
		for side, fields := range session {
			for field, was := range fields {
				for does, tamper := range tampering {
					changed := false
					change := func(at string, b body) {
						if at == path {
							came := b[field]
							tamper(b, field, was)
							changed = changed || !bytes.Equal(came, b[field])
						}
					}
					p := &proxy{w: w}
					if side == 0 {
						p.request = change
					} else {
						p.answer = change
					}
					key, node, err := throughProxy(t, p)
					requireNothingLearned(t, p, key, node, err, does+" "+field+" of "+path)
					if changed && slices.Contains(mustMatter, field) {
						require.Error(t, err, does+" "+field+" of "+path)
					}
					tried++
				}
			}
		}
	}
	require.Equal(t, (2+5+1+3+6+2)*len(tampering), tried, "fields of three requests and three answers")
}

// mustMatter are the fields without which, or with others, no key is taken.
var mustMatter = []string{"transportKey", "transportPublicKeyB64", "quoteB64", "sealToB64", "signatureB64",
	"sealedKeyB64", "sealNonceB64", "nonceB64", "peerId", "challengeId", "peerPublicKeyB64"}

// What somebody would do who knows the format.
func TestAProxyCannotMakeItselfTheReceiverOrTheService(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	before := &proxy{w: w}
	_, _, err := throughProxy(t, before)
	require.NoError(t, err)
	all := func(was body) func(b body) { return func(b body) { clear(b); maps.Copy(b, was) } }
	on := func(path string, change func(b body)) func(string, body) {
		return func(at string, b body) {
			if at == path {
				change(b)
			}
		}
	}
	for name, tc := range map[string]struct {
		make func(p *proxy)
		want string
	}{
		"seals to itself": {func(p *proxy) {
			p.request = on("/get-key", func(b body) { b["sealToB64"] = public(p.own) })
		}, "not the peer's over this challenge, quote and key to seal to"},
		"asks in the clear": {func(p *proxy) { p.request = on("/get-key", func(b body) { delete(b, "sealToB64") }) },
			"the request lacks sealToB64"},
		"tells its own transport key": {func(p *proxy) {
			p.answer = on("/attest", func(b body) { b["transportPublicKeyB64"] = public(p.own) })
		}, "report data"},
		"has its own transport key quoted": {func(p *proxy) {
			p.request = on("/attest", func(b body) {
				mine := wire.AttestBinding(wire.DefaultBinding(), p.own.Public())
				delete(b, "transportKey")
				b["bindingB64"] = text(b64(mine[:]))
			})
			p.answer = on("/attest", func(b body) { b["transportPublicKeyB64"] = public(p.own) })
		}, "only together with transportKey"},
		"has its own transport key quoted with the service's": {func(p *proxy) {
			p.request = on("/attest", func(b body) {
				mine := wire.AttestBinding(wire.DefaultBinding(), p.own.Public())
				b["bindingB64"] = text(b64(mine[:]))
			})
			p.answer = on("/attest", func(b body) { b["transportPublicKeyB64"] = public(p.own) })
		}, "report data"},
		"asks for no transport key": {func(p *proxy) {
			p.request = on("/attest", func(b body) { delete(b, "transportKey") })
		}, "tells no transport key"},
		"seals a key of its own": {func(p *proxy) {
			p.answer = on("/get-key", func(b body) { b["sealedKeyB64"], b["sealNonceB64"] = p.sealsItself() })
		}, "does not open"},
		"answers in the clear": {func(p *proxy) {
			p.answer = on("/get-key", func(b body) { clear(b); b["key"] = text(strings.Repeat("ab", 32)) })
		}, "in the clear"},
		"adds a clear key": {func(p *proxy) {
			p.answer = on("/get-key", func(b body) { b["key"] = text(strings.Repeat("ab", 32)) })
		}, "in the clear"},
		"adds a field to a request": {func(p *proxy) {
			p.request = on("/get-key", func(b body) { b["sealToB64Also"] = public(p.own) })
		}, "is unknown"},
		"replays the proof": {func(p *proxy) { p.answer = on("/attest", all(before.seen["/attest"][1])) }, "report data"},
		"replays the challenge": {func(p *proxy) {
			p.answer = on("/challenge", all(before.seen["/challenge"][1]))
		}, "invalid_challenge"},
		"replays the request": {func(p *proxy) {
			p.request = on("/get-key", all(before.seen["/get-key"][0]))
		}, "invalid_challenge"},
		"replays the key": {func(p *proxy) { p.answer = on("/get-key", all(before.seen["/get-key"][1])) }, "does not open"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &proxy{w: w}
			tc.make(p)
			key, node, err := throughProxy(t, p)
			require.ErrorContains(t, err, tc.want)
			requireNothingLearned(t, p, key, node, err, name)
		})
	}
}

// sealsItself is a key of the proxy's choice, sealed to the node of the session that is under way.
func (p *proxy) sealsItself() (sealed, nonce json.RawMessage) {
	var peer wire.PeerID
	_ = json.Unmarshal(p.seen["/get-key"][0]["peerId"], &peer)
	s := p.session(peer)
	seals, _ := p.own.SealTo(s.sealTo, s.release) // of low order is no node's
	n, made := seals.Seal([]byte(strings.Repeat("ab", 32)))
	return text(b64(made)), text(b64(n))
}
