package steps

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/base/retry"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// announcement is what MERO_ANNOUNCE_URL is told of a release.
type announcement struct {
	SchemaVersion string        `json:"schema_version"` // "1"
	Tag           release.Tag   `json:"tag"`
	Class         release.Class `json:"class"`
	Verdict       string        `json:"verdict"` // "promoted"
	Commit        string        `json:"commit"`
	Release       string        `json:"release"`        // its page
	Run           string        `json:"run,omitempty"`  // the workflow run's page
	Note          string        `json:"note,omitempty"` // what the environment says of everything made in it
}

// announce tells the configured address of a promotion, once. It is told after
// everything else, and what becomes of it is no reason to fail.
func (r *Release) announce(ctx context.Context, w *pipeline.Work, page string) {
	address := r.Env.Config.AnnounceURL
	told := func(e pipeline.Record) bool { return e.Kind == journal.Announcement && e.Event == pipeline.Passed }
	if address == "" || slices.ContainsFunc(r.Ledger.Records(), told) {
		return
	}
	err := w.Journal.Do(journal.Announcement, r.Tag.String(), func() error {
		planned, err := r.planned()
		if err != nil {
			return err
		}
		body, err := json.Marshal(announcement{SchemaVersion: "1", Tag: r.Tag, Class: planned.Class, Verdict: "promoted",
			Commit: r.Checkout.Commit, Release: page, Run: r.Env.Config.RunPage(), Note: r.Env.Banner})
		if err != nil {
			return err
		}
		return tell(ctx, retry.Usual(), r.Env.Client(), address, body)
	})
	if err != nil {
		w.Warnf("not announced, and released all the same: %v", err)
		return
	}
	w.Infof("announced")
}

// tellWithin is how long all attempts to announce may take together.
const tellWithin = time.Minute

// tell posts JSON to an address that is a secret, since whoever has it may post there: no error has it.
func tell(ctx context.Context, again retry.Policy, client *http.Client, address config.Secret, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, tellWithin)
	defer cancel()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	err := again.Do(ctx, func(int) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, address.Reveal(), bytes.NewReader(body))
		if err != nil {
			return err
		}
		request.Header.Set("Content-Type", "application/json")
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		if response.StatusCode/100 != 2 {
			err = retry.Refused(response)
		}
		return errors.Join(err, response.Body.Close())
	}, retry.HTTP)
	var with *url.Error
	if errors.As(err, &with) { // it has the address
		return with.Err
	}
	return err
}
