package rehearsal

import (
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/node/boot"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot/bootchain"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

// LendTD makes a TD of a platform of its own, in which a disk has booted: for a
// machine that is none. Nobody but its verifier believes it.
func LendTD(b *measuredboot.Boot) (*boot.TD, error) {
	seed := make([]byte, 32)
	_, _ = rand.Read(seed) // it never fails
	pki, err := tdxsim.NewPKI(seed)
	if err != nil {
		return nil, err
	}
	platform, err := pki.NewPlatform(0)
	if err != nil {
		return nil, err
	}
	td, log, err := bootchain.C3().Boot(platform, b.Log())
	if err != nil {
		return nil, err
	}
	pcs := &http.Client{Transport: within{tdxsim.NewPCS(pki, time.Now, platform)}}
	v, err := tdx.NewVerifier(tdx.Config{Root: pki.RootSHA256(), Collateral: tdx.NewCollateral(pcs)})
	return &boot.TD{TSM: tdxsim.TSM(td, 4), EventLog: log.CCEL(), Verifier: v}, err
}

// within answers every request in this process.
type within struct{ http.Handler }

func (w within) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	recorder := httptest.NewRecorder()
	w.ServeHTTP(recorder, r)
	return recorder.Result(), nil
}
