package tdxsim

import (
	"crypto/x509"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
)

// Knobs are what the service says, and the faults it shows.
type Knobs struct {
	Platform, Module, QE tdx.Status
	EvaluationNumber     int
	Age, Validity        time.Duration // issued Age ago, next update in Validity; negative for the other side of now
	RevokePCK            bool
	RevokePlatformCA     bool
	RevokeTCBSigning     bool
	UpperFMSPC           bool // as Intel's own service writes it
	Unavailable          bool // 503
	Hang                 bool // no answer until the client gives up
	Tamper               func(path string, body []byte) []byte
}

func (s *PCS) revokedPCKs(k Knobs) (out []*x509.Certificate) {
	if k.RevokePCK {
		for _, p := range s.platforms {
			out = append(out, p.pck.cert)
		}
	}
	return out
}

func (s *PCS) revokedCAs(k Knobs) (out []*x509.Certificate) {
	if k.RevokePlatformCA {
		out = append(out, s.pki.platformCA.cert)
	}
	if k.RevokeTCBSigning {
		out = append(out, s.pki.tcb.cert)
	}
	return out
}
