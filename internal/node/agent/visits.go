package agent

import (
	"fmt"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
)

const (
	maxVisits     = 64
	maxVisitsSize = 256 << 10 // Compute Engine's bound of a metadata value
	maxName       = 100
)

// visit is a Visit in mero-visits: the configuration is text there.
type visit struct {
	Name   string `json:"name"`
	Config string `json:"config"`
}

func encodeVisits(visits []Visit) ([]byte, error) {
	out := make([]visit, len(visits))
	for i, v := range visits {
		out[i] = visit{v.Name, string(v.Config)}
	}
	data, err := canonical.Marshal(out)
	if err != nil {
		return nil, err
	}
	if _, err := decodeVisits(data); err != nil {
		return nil, err
	}
	return data, nil
}

func decodeVisits(data []byte) ([]Visit, error) {
	if len(data) > maxVisitsSize {
		return nil, fmt.Errorf("%d bytes, more than %d", len(data), maxVisitsSize)
	}
	var read []visit
	if err := canonical.Unmarshal(data, &read); err != nil {
		return nil, err
	}
	if len(read) == 0 || len(read) > maxVisits {
		return nil, fmt.Errorf("%d visits, not 1 to %d", len(read), maxVisits)
	}
	var out []Visit
	names := uniqueNames{ConfigAttribute: true} // the name of the operator's
	for _, v := range read {
		if err := names.add(v.Name); err != nil {
			return nil, err
		}
		out = append(out, Visit{v.Name, []byte(v.Config)})
	}
	return out, nil
}

// uniqueNames are the names of visits, of printable ASCII, each once.
type uniqueNames map[string]bool

func (u uniqueNames) add(name string) error {
	for _, b := range []byte(name) {
		if b < ' ' || b > '~' {
			return fmt.Errorf("visit %.200q: not printable ASCII", name)
		}
	}
	if name == "" || len(name) > maxName {
		return fmt.Errorf("visit %.200q: its name has %d characters, not 1 to %d", name, len(name), maxName)
	}
	if u[name] {
		return fmt.Errorf("visit %q is there twice", name)
	}
	u[name] = true
	return nil
}
