package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/dstack"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

const (
	appraiserName = "Intel Trust Authority"
	providerName  = "dstack provider"
)

// appraiser asks for a nonce: the service gives one to its customers only.
func appraiser(ctx context.Context, t *target) check.Results {
	client, err := t.env.Appraiser()
	switch {
	case err != nil:
		return one(failed(appraiserName, err, "correct ITA_API_URL, or unset it"))
	case client == nil:
		return one(check.Skip(appraiserName,
			"ITA_API_KEY is not set; a stable release refuses that appraisals are skipped"))
	}
	err = client.Ready(ctx)
	r := check.Of(appraiserName, err)
	switch {
	case err == nil:
		return one(check.Pass(appraiserName + ": " + t.env.ITA.URL + " takes the key"))
	case r.Code == fault.Usage:
		return one(r.WithHint("set ITA_API_KEY to an attestation API key of the service at " + t.env.ITA.URL +
			" (the EU's has keys of its own)"))
	}
	return one(r.WithHint("check ITA_API_URL, and that the service is up"))
}

// nobody is the name of a CVM that there is not.
const nobody = "mero-doctor-asks"

// provider asks for a CVM that there is not, with the key and without: an API
// says 404 to its customers and refuses strangers, and another server makes no difference.
func provider(ctx context.Context, t *target) check.Results {
	env := t.env
	if env.DstackURL == "" || env.DstackKey == "" {
		return one(fail(providerName, "not known", "PHALA_DSTACK_URL and PHALA_CLOUD_API_KEY", "not both set",
			"the end-to-end test runs the key service there"))
	}
	ask := func(client *dstack.Client) (int, error) {
		_, err := client.Get(ctx, nobody)
		var refusal *dstack.Refusal
		if errors.As(err, &refusal) {
			return refusal.Status, err
		}
		return http.StatusOK, err
	}
	mine, err := ask(env.Dstack())
	switch {
	case mine != http.StatusNotFound && err == nil:
		return one(fail(providerName, "it knows a CVM that there is not", "status 404", "status 200",
			"check PHALA_DSTACK_URL"))
	case mine != http.StatusNotFound:
		return one(failed(providerName, err, "check PHALA_DSTACK_URL, and that the provider is up"))
	}
	strangers, err := ask(dstack.New(env.DstackURL, "", env.Transport))
	if strangers != http.StatusUnauthorized && strangers != http.StatusForbidden {
		return one(fail(providerName, "the address is not its API's", "a refusal without a key", answered(strangers, err),
			"check PHALA_DSTACK_URL, for example "+config.DefaultDstackURL))
	}
	out := check.Results{check.Pass(providerName + ": " + env.DstackURL + " takes the key"), osImage(ctx, t)}
	if env.Able != nil { // the provider is this machine
		out = append(out, failed("applications on this machine", env.Able(ctx, release.KMS), "run as root"))
	}
	return out
}

// osImage asks whether the provider offers the OS image that a release names.
func osImage(ctx context.Context, t *target) check.Result {
	const name = "OS image of dstack"
	data, err := os.ReadFile(t.env.PlatformFile)
	if err != nil {
		return failed(name, err, "check out the whole repository")
	}
	platforms, err := measurement.DecodePlatforms(data)
	if err != nil {
		return failed(name, err, "correct "+t.env.PlatformFile)
	}
	offered, err := t.env.Dstack().Images(ctx)
	switch {
	case err != nil:
		return failed(name, err, "check that the provider is up")
	case !slices.Contains(offered, platforms.Image):
		return fail(name, "the provider does not offer it", platforms.Image, strings.Join(offered, ", "),
			"run `go tool mage kms:observe IMAGE TAG` for one that it offers, and name that in "+t.env.PlatformFile)
	}
	return check.Pass(name + ": " + platforms.Image + " is offered")
}

func answered(status int, err error) string {
	if err != nil && status == http.StatusOK {
		return err.Error()
	}
	return fmt.Sprintf("status %d", status)
}
