package cli

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/audit"
)

func TestRecent(t *testing.T) {
	t.Parallel()
	all := []github.Release{{TagName: "mero-kms-v1.2.0"}, {TagName: "mero-kms-v1.10.0-rc.1"}, {TagName: "mero-tee-v0.1.0"},
		{TagName: "nightly"},
		{TagName: "mero-kms-v1.9.0"}, {TagName: "mero-kms-v1.10.0", Draft: true}, {TagName: "mero-kms-v1.2.1"}}
	names := func(n int) (out []string) {
		for _, tag := range recent(all, n) {
			out = append(out, tag.String())
		}
		return out
	}
	require.Equal(t, []string{"mero-kms-v1.10.0-rc.1", "mero-tee-v0.1.0"}, names(1))
	require.Equal(t, []string{"mero-kms-v1.10.0-rc.1", "mero-kms-v1.9.0", "mero-kms-v1.2.1", "mero-tee-v0.1.0"}, names(3))
	require.Len(t, names(100), 5)
	require.Empty(t, recent(nil, 3))
}

func TestSummaryHasTheFirstCode(t *testing.T) {
	t.Parallel()
	require.NoError(t, summary(nil, 2))
	err := summary([]error{&fault.Error{Code: fault.MissingAsset, Message: "a"}, errors.New("b")}, 3)
	require.Equal(t, fault.MissingAsset, fault.CodeOf(err))
	require.ErrorContains(t, err, "2 of 3 releases did not pass")
}

func TestRecentWantsANumber(t *testing.T) {
	t.Parallel()
	require.Equal(t, fault.Usage, fault.CodeOf(VerifyRecent(t.Context(), 0)))
}

// "Could not look" is never "bad": only what was looked at and is wrong condemns a release.
func TestWhatCondemnsARelease(t *testing.T) {
	t.Parallel()
	unseen := check.Results{check.Unseen("today's TCB of debug", "nobody answers", "ask later")}.Strict()[0]
	forged := check.Fail("signature of a", fault.Verification, "differs", "x", "y")
	missing := check.Fail("asset a", fault.MissingAsset, "missing", "a", "nothing")
	for name, tc := range map[string]struct {
		results check.Results
		code    fault.Code
		words   string
	}{
		"not looked at":       {check.Results{check.Pass("a"), unseen}, fault.General, "could not be judged whole"},
		"wrong":               {check.Results{forged}, fault.Verification, "is not to be trusted"},
		"wrong behind unseen": {check.Results{unseen, missing}, fault.MissingAsset, "is not to be trusted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := condemned(release.Tag{Family: release.Node}, tc.results, tc.results.Err())
			require.Equal(t, tc.code, fault.CodeOf(err))
			require.ErrorContains(t, err, tc.words)
		})
	}
}

// The root that judges is the one that was named, and which one it was is said.
func TestTheNamedRootJudges(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	o := &operator{console: console.New(&b, false)}
	path := filepath.Join(t.TempDir(), "trusted_root.json")
	_, err := o.trust(t.Context(), Place{Trust: path})
	require.Equal(t, fault.Usage, fault.CodeOf(err))
	raw := []byte(`{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`)
	require.NoError(t, os.WriteFile(path, raw, 0o600))
	tm, err := o.trust(t.Context(), Place{Trust: path})
	require.NoError(t, err)
	require.NotNil(t, tm)
	require.Contains(t, b.String(), "signatures are judged by the trusted root in ")
	require.Contains(t, b.String(), digest.Of(raw).String())
}

// A place that is none is a mistake of who asked, and no word about a release; nobody is asked before it is found.
func TestAPlaceThatIsNone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "assets")
	for _, write := range []bool{false, true} { // absent, then a file
		if write {
			require.NoError(t, os.WriteFile(path, nil, 0o600))
		}
		_, err := new(operator).subject(t.Context(), &audit.Subject{}, Place{Folder: path})
		require.Equal(t, fault.Usage, fault.CodeOf(err))
		require.ErrorContains(t, err, "there is no release to judge")
	}
}

// What a quick check left out is named, all of it.
func TestWhatAQuickCheckDoesNotLookAt(t *testing.T) {
	t.Parallel()
	quick := Judgement{Quick: true}.unlooked(&audit.Report{})
	require.Contains(t, quick[0], "boots")
	require.Contains(t, quick[0], "image records")
	require.Len(t, Judgement{}.unlooked(&audit.Report{}), len(quick)-1)
}

// Without a network the way that exists is named.
func TestWithoutANetworkTheRootIsToBeNamed(t *testing.T) {
	t.Parallel()
	unreached := &fault.Error{Code: fault.General, Message: "could not be asked", Hint: "check the network"}
	err := withoutNetwork(unreached)
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Contains(t, f.Hint, "-trust=FILE")
	require.Equal(t, "check the network", unreached.Hint)
	bad := &fault.Error{Code: fault.Verification, Message: "not to be believed"}
	require.Equal(t, bad, withoutNetwork(bad))
}
