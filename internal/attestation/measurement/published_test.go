package measurement_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

var update = flag.Bool("update", false, "rewrite golden files")

const commit = "0123456789abcdef0123456789abcdef01234567"

func tag(t testing.TB, s string) release.Tag {
	t.Helper()
	out, err := release.ParseTag(s)
	require.NoError(t, err)
	return out
}

func register(b byte) tdx.Register {
	var r tdx.Register
	for i := range r {
		r[i] = b
	}
	return r
}

func sum(s string) digest.Digest { return digest.Of([]byte(s)) }

var host = tcb.List{AllowedTCBStatus: []string{"UpToDate"}, TCBWaivers: []tcb.Waiver{{Status: "OutOfDate",
	FMSPC: "b0c06f000000", Reason: "the provider updates its hosts in December", Until: "2026-12-31"}}}

// node is a complete node release.
func node(t testing.TB) *measurement.Published {
	t.Helper()
	out := &measurement.Published{SchemaVersion: "1", Family: release.Node, Tag: tag(t, "mero-tee-v1.2.0"), Commit: commit,
		Profiles: map[release.Profile]measurement.Profile{}}
	for i, p := range release.Profiles() {
		rtmr3 := tdx.ProfileRTMR3(string(p))
		out.Profiles[p] = measurement.Profile{
			MRTD: register(0xa5), RTMR0: register(0x6b), RTMR1: register(0xbc), RTMR2: register(byte(i + 1)), RTMR3: &rtmr3,
			Owners:   measurement.OwnersOf(release.Node),
			Image:    measurement.Image{Name: "mero-tee-" + string(p) + "-1-2-0-0badcafe", Digest: sum("image " + string(p))},
			Evidence: measurement.Evidence{Quote: sum("quote"), EventLog: sum("log"), Collateral: sum("collateral"), Boots: 2},
		}
	}
	return out
}

func platformsFile(t testing.TB) *measurement.Platforms {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "docker", "mero-kms", "dstack-platforms.json"))
	require.NoError(t, err)
	out, err := measurement.DecodePlatforms(data)
	require.NoError(t, err)
	return out
}

func platformFile(t testing.TB) measurement.Platform {
	t.Helper()
	out, err := platformsFile(t).Chosen()
	require.NoError(t, err)
	return out
}

// kms is a complete KMS release.
func kms(t testing.TB) *measurement.Published {
	t.Helper()
	images, hashes := map[release.Profile]measurement.Image{}, map[release.Profile]digest.Digest{}
	for _, p := range release.Profiles() {
		images[p] = measurement.Image{Name: "ghcr.io/calimero-network/mero-kms:1.2.0-" + string(p),
			Digest: sum("image " + string(p))}
		hashes[p] = sum("app-compose " + string(p))
	}
	out, err := measurement.PredictKMS(tag(t, "mero-kms-v1.2.0"), commit, platformFile(t), host, images, hashes)
	require.NoError(t, err)
	return out
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]*measurement.Published{"node.json": node(t), "kms.json": kms(t)} {
		got, err := p.Encode()
		require.NoError(t, err)
		path := filepath.Join("testdata", name)
		if *update {
			require.NoError(t, os.WriteFile(path, got, 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got))
		back, err := measurement.Decode(got)
		require.NoError(t, err)
		require.Equal(t, p, back)
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	data, err := kms(t).Encode()
	require.NoError(t, err)
	good := string(data)
	first := func(old, replacement string) string {
		require.Contains(t, good, old)
		return strings.Replace(good, old, replacement, 1)
	}
	for name, tc := range map[string]struct{ text, want string }{
		"empty":             {"", "EOF"},
		"unknown field":     {first(`"family"`, `"generated_at": 1, "family"`), "unknown field"},
		"duplicate key":     {first(`"family"`, `"commit": "x", "family"`), "appears twice"},
		"trailing data":     {good + "{}", "after the end"},
		"no newline":        {strings.TrimSuffix(good, "\n"), "canonical form"},
		"white space":       {first(`"family": `, `"family":  `), "canonical form"},
		"key in other case": {first(`"mrtd"`, `"MRTD"`), "is unknown"},
		"short register":    {first("f06dfda6", "f06dfd"), "94 hex digits"},
		"upper case hex":    {first("f06dfda6", "F06DFDA6"), "lower case"},
		"digest":            {first(`"digest": "sha256:`, `"digest": "sha512:`), "is not sha256:"},
		"payload":           {first(`"owner": "image",`, `"owner": "image", "x": 1,`), "unknown field"},
		"odd payload":       {strings.Replace(good, `"payload": "`, `"payload": "0`, 1), "odd length"},
		"upper payload":     {strings.Replace(good, `"payload": ""`, `"payload": "AB"`, 1), "canonical form"},
		"huge payload": {strings.Replace(good, `"payload": ""`, `"payload": "`+strings.Repeat("0", 8194)+`"`, 1),
			"more than the 4096 allowed"},
		"tag": {first(`"mero-kms-v1.2.0"`, `"v1.2.0"`), "not a release tag"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := measurement.Decode([]byte(tc.text))
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, fault.Verification, fault.CodeOf(err))
		})
	}
}

func FuzzDecode(f *testing.F) {
	for _, p := range []*measurement.Published{node(f), kms(f)} {
		data, err := p.Encode()
		require.NoError(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := measurement.Decode(data)
		if err != nil {
			return
		}
		again, err := p.Encode()
		require.NoError(t, err)
		require.Equal(t, string(data), string(again))
	})
}
