package evidence

import (
	"context"
	"fmt"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/endorsement"
)

// Endorsement is what Google's bucket had of the firmware when it was asked.
type Endorsement struct {
	Asked   time.Time `json:"asked"`
	Message []byte    `json:"message,omitempty"` // as Google signed it, base64; absent: Google had none
}

// Endorsed verifies Google's endorsement of the MRTD of verified boots, as of
// the time of each. It is nil when Google had none, and when nobody could ask.
func (e *Evidence) Endorsed(root [32]byte, seen []*Observation) (*endorsement.Endorsement, error) {
	if e.Endorsement == nil || len(e.Endorsement.Message) == 0 {
		return nil, nil
	}
	var out *endorsement.Endorsement
	for i, o := range seen {
		var err error
		out, err = endorsement.Verify(e.Endorsement.Message, root, o.Verdict.Registers.MRTD, o.Verdict.At)
		if err != nil {
			return nil, fmt.Errorf("boot %d: %w", i+1, err)
		}
	}
	return out, nil
}

// Bases says what each register rests on, in the order of tdx.RegisterNames;
// signed is what Endorsed returned.
func (e *Evidence) Bases(signed *endorsement.Endorsement) [5]string {
	observed := fmt.Sprintf("observed (%d boots)", len(e.Boots))
	predicted := "predicted from the image, " + observed
	return [5]string{e.firmware(signed) + ", " + observed, observed, predicted, predicted, "a formula, " + observed}
}

func (e *Evidence) firmware(signed *endorsement.Endorsement) string {
	switch {
	case e.Endorsement == nil:
		return "of unknown endorsement (Google could not be asked)"
	case signed == nil:
		return "not endorsed: Google had signed nothing for it on " + e.Endorsement.Asked.UTC().Format(time.DateOnly)
	}
	return "endorsed by Google on " + signed.Signed.Format(time.DateOnly)
}

// Verified is Bases of what is verified here, under Intel's root and Google's.
func (e *Evidence) Verified(ctx context.Context, intel, google [32]byte) ([5]string, error) {
	seen, err := e.Observe(ctx, intel)
	if err != nil {
		return [5]string{}, err
	}
	signed, err := e.Endorsed(google, seen)
	return e.Bases(signed), err
}
