package tcb

import (
	"os"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// HostFile is where the list of the key service's host lies in the repository.
const HostFile = "docker/mero-kms/host-tcb.json"

// HostSchemaVersion is the only version of that file.
const HostSchemaVersion = "1"

// Host is docker/mero-kms/host-tcb.json: what is accepted of the machine under
// the key service. Its owner is another than that of the nodes' machines, so it
// has a list of its own.
type Host struct {
	SchemaVersion string `json:"schema_version"`
	List
}

// DecodeHost reads the file strictly and checks it; its errors have code Verification.
func DecodeHost(data []byte) (*Host, error) {
	h := new(Host)
	if err := canonical.UnmarshalExact(data, h); err != nil {
		return nil, &fault.Error{Code: fault.Verification, Message: HostFile, Err: err}
	}
	if h.SchemaVersion != HostSchemaVersion {
		return nil, fault.Mismatch(HostFile+": unknown schema_version", HostSchemaVersion, h.SchemaVersion)
	}
	if err := h.Check(); err != nil {
		return nil, &fault.Error{Code: fault.Verification, Message: HostFile, Err: err}
	}
	return h, nil
}

// ReadHost is DecodeHost of the file at path. A missing one has code MissingAsset.
func ReadHost(path string) (*Host, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, &fault.Error{Code: fault.MissingAsset, Message: "TCB list of the key service's host",
			Expected: HostFile, Err: err}
	}
	return DecodeHost(data)
}
