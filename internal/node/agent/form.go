package agent

import (
	"errors"
	"fmt"
	"slices"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/release"
)

const (
	maxQuote = 64 << 10
	maxText  = 8 << 10
)

func (r *Report) check() error {
	if _, err := release.ParseProfile(string(r.Profile)); err != nil {
		return err
	}
	if len(r.Quote) > maxQuote || len(r.EventLog) > MaxEventLog || len(r.Visits) > maxVisits+1 {
		return fmt.Errorf("a quote of %d bytes, an event log of %d, %d visits: more than %d, %d, %d",
			len(r.Quote), len(r.EventLog), len(r.Visits), maxQuote, MaxEventLog, maxVisits+1)
	}
	if err := errors.Join(checkTexts(r.Error), checkCode(r.Error, r.ExitCode), r.checkIdentity()); err != nil {
		return err
	}
	names := uniqueNames{}
	for _, v := range r.Visits {
		if err := errors.Join(names.add(v.Name), v.check()); err != nil {
			return err
		}
	}
	return nil
}

// checkIdentity: both are empty when the run failed before it had them.
func (r *Report) checkIdentity() error {
	if r.Error != "" && r.PeerID == "" && r.Nonce == "" {
		return nil
	}
	if _, err := wire.ParsePeerID(string(r.PeerID)); err != nil {
		return err
	}
	if _, err := ParseNonce(r.Nonce); err != nil {
		return errors.New("the nonce is not 32 bytes in hex")
	}
	return nil
}

func (v *VisitResult) check() error {
	texts := []string{v.URL, v.TCB, v.Error}
	if v.Refusal != nil {
		texts = append(texts, v.Refusal.Path, v.Refusal.Tag, v.Refusal.Details)
	}
	if len(v.Quote) > maxQuote || len(v.Nonce) > 32 {
		return fmt.Errorf("visit %s: a quote of %d bytes, a nonce of %d", v.Name, len(v.Quote), len(v.Nonce))
	}
	if v.Refusal != nil && v.Error == "" {
		return fmt.Errorf("visit %s: refused without an error", v.Name)
	}
	return errors.Join(checkTexts(texts...), checkCode(v.Error, v.ExitCode))
}

// checkCode: an error has one of the codes of package fault, success none.
func checkCode(text string, code fault.Code) error {
	known := []fault.Code{fault.General, fault.Usage, fault.Verification, fault.MissingAsset}
	if text == "" {
		known = []fault.Code{fault.Success}
	}
	if !slices.Contains(known, code) {
		return fmt.Errorf("exit code %d does not go with error %.80q", code, text)
	}
	return nil
}

func checkTexts(texts ...string) error {
	for _, t := range texts {
		if clean(t) != t {
			return fmt.Errorf("a text of %d bytes is too long or holds control characters: %.40q", len(t), t)
		}
	}
	return nil
}
