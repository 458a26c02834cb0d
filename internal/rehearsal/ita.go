package rehearsal

import (
	"path/filepath"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/ita"
	local "github.com/calimero-network/mero-tee/internal/rehearsal/ita"
)

// startITA starts the appraiser of quotes; it believes the same simulated hardware as everybody here.
func (w *World) startITA() error {
	authority, err := local.OpenAuthority(filepath.Join(w.State, "ita.pem"))
	if err != nil {
		return err
	}
	verifier, err := w.Env.Verifier()
	if err != nil {
		return err
	}
	w.Env.ITA = ita.Config{URL: ita.APIURL, Key: token, Root: authority.RootSHA256(), Transport: w.Env.Transport}
	return w.handle(local.New(local.Options{Authority: authority, APIKey: token, Verifier: verifier, Now: time.Now}), local.Hosts()...)
}
