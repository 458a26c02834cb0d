package dstack

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path"
	"strings"

	"github.com/calimero-network/mero-tee/internal/kms/image"
	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
)

// agent is the guest agent of one CVM: JSON over HTTP, bytes as hex, as
// guest-agent/rpc/proto/agent_rpc.proto of Dstack-TEE/dstack defines it.
func (c *cvm) agent() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /GetQuote", c.getQuote)
	mux.HandleFunc("POST /GetKey", c.getKey)
	mux.HandleFunc("POST /Info", c.info)
	mux.HandleFunc("POST /EmitEvent", c.emitEvent)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		mux.ServeHTTP(w, r)
	})
}

// refuse is the agent's error: {"error": …}.
func refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": message})
}

func decode(w http.ResponseWriter, r *http.Request, v any) bool {
	if err := json.NewDecoder(r.Body).Decode(v); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return false
	}
	return true
}

func (c *cvm) getQuote(w http.ResponseWriter, r *http.Request) {
	var q struct {
		ReportData string `json:"report_data"`
	}
	if !decode(w, r, &q) {
		return
	}
	data, err := hex.DecodeString(q.ReportData)
	if err != nil || len(data) > 64 {
		refuse(w, http.StatusBadRequest, "report_data is not hex of at most 64 bytes")
		return
	}
	var reportData [64]byte
	copy(reportData[:], data)
	c.quoting.Lock() // an event between log and quote would make them disagree
	defer c.quoting.Unlock()
	quote, err := c.td.Quote(4, reportData)
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	log, err := c.log.Dstack()
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	reply(w, map[string]string{"quote": hex.EncodeToString(quote), "event_log": string(log),
		"report_data": hex.EncodeToString(reportData[:]), "vm_config": c.vmConfig()})
}

// getKey has no signature chain: its signatures would be of a root that nothing trusts.
func (c *cvm) getKey(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Path      string `json:"path"`
		Purpose   string `json:"purpose"` // part of the signature chain only
		Algorithm string `json:"algorithm"`
	}
	if !decode(w, r, &q) {
		return
	}
	if q.Algorithm == "" {
		q.Algorithm = "secp256k1"
	}
	if q.Algorithm != "secp256k1" && q.Algorithm != "ed25519" {
		refuse(w, http.StatusBadRequest, "unsupported algorithm")
		return
	}
	key, err := c.keys.derive(c.id, q.Algorithm, q.Path)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "key derivation")
		return
	}
	reply(w, map[string]any{"key": hex.EncodeToString(key), "signature_chain": []string{}})
}

func (c *cvm) info(w http.ResponseWriter, _ *http.Request) {
	r, app := c.td.Registers(), c.current()
	tcb, err := json.Marshal(map[string]string{"mrtd": r.MRTD.String(), "rtmr0": r.RTMR0.String(),
		"rtmr1": r.RTMR1.String(), "rtmr2": r.RTMR2.String(), "rtmr3": r.RTMR3.String(),
		"app_compose": string(app.compose)})
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	reply(w, map[string]string{"app_id": c.id, "instance_id": c.instanceID, "app_name": c.name,
		"compose_hash": app.composeHash(), "os_image_hash": osImageHash(c.image).Hex(),
		"tcb_info": string(tcb), "vm_config": c.vmConfig()})
}

func (c *cvm) emitEvent(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Event   string `json:"event"`
		Payload string `json:"payload"`
	}
	if !decode(w, r, &q) {
		return
	}
	payload, err := hex.DecodeString(q.Payload)
	if err != nil || q.Event == "" {
		refuse(w, http.StatusBadRequest, "event is empty or payload is not hex")
		return
	}
	c.quoting.Lock()
	defer c.quoting.Unlock()
	if err := c.log.Emit(q.Event, payload); err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
	}
}

// Where the application finds whom it trusts in a rehearsal, and is told so by
// variables: nobody else's machine has these files.
const (
	certificateFile = "/run/platform/ca.pem"
	sigstoreFile    = "/run/platform/trusted_root.json"
)

// writeTrust adds a file of the platform's to the application's root file system.
// os.Root follows no symbolic link out of it.
func writeTrust(root *os.Root, file string, data []byte) error {
	name := strings.TrimPrefix(file, "/")
	if err := image.Folder(root, path.Dir(name)); err != nil {
		return err
	}
	if err := root.WriteFile(name, data, 0o644); err != nil {
		return err
	}
	return root.Chmod(name, 0o644) // whatever the umask
}

// serveAgent serves the guest agent on the Unix socket at name, inside root. The
// container's user may connect, who is not the one who bound it.
func serveAgent(root *os.Root, name string, h http.Handler) (io.Closer, error) {
	if name == "" {
		return io.NopCloser(nil), nil
	}
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if err := image.Folder(root, path.Dir(name)); err != nil {
		return nil, err
	}
	dir, err := root.Open(path.Dir(name))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	l, err := network.ListenUnix(dir, path.Base(name))
	if err != nil {
		return nil, err
	}
	return network.Serve(l, h), nil
}

// keys derives application keys, as dstack's own key management does, from a
// seed that stays on this machine, so that a later run gives the same ones.
type keys struct{ seed []byte }

// derive is 32 bytes of HKDF-SHA256; equal app id, algorithm and path give equal keys.
func (k *keys) derive(appID, algorithm, path string) ([]byte, error) {
	return hkdf.Key(sha256.New, k.seed, []byte(appID), "dstack key: "+algorithm+": "+path, 32)
}

// provider identifies the key provider, as the event of that name does.
func (k *keys) provider() string {
	id := sha256.Sum256(append([]byte("dstack key provider: "), k.seed...))
	return hex.EncodeToString(id[:])
}
