package dstack

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
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
	key, err := c.keys.derive(c.app.id(), q.Algorithm, q.Path)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "key derivation")
		return
	}
	reply(w, map[string]any{"key": hex.EncodeToString(key), "signature_chain": []string{}})
}

func (c *cvm) info(w http.ResponseWriter, _ *http.Request) {
	r := c.td.Registers()
	tcb, err := json.Marshal(map[string]string{"mrtd": r.MRTD.String(), "rtmr0": r.RTMR0.String(), "rtmr1": r.RTMR1.String(),
		"rtmr2": r.RTMR2.String(), "rtmr3": r.RTMR3.String(), "app_compose": string(c.app.compose)})
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	reply(w, map[string]string{"app_id": c.app.id(), "instance_id": c.instanceID, "app_name": c.name,
		"compose_hash": hex.EncodeToString(c.app.hash[:]), "os_image_hash": osImageHash(),
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
