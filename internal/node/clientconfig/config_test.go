package clientconfig_test

import (
	"encoding/base64"
	"os"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/node/clientconfig"
)

func register(b byte) (r tdx.Register) {
	for i := range r {
		r[i] = b
	}
	return r
}

func example(t testing.TB) *clientconfig.Config {
	t.Helper()
	c, err := clientconfig.New("https://kms.example:8443/",
		measurement.Profile{MRTD: register(0xa0), RTMR0: register(0xa1), RTMR1: register(0xa2),
			RTMR2: register(0xa3), Image: measurement.Image{ComposeHash: digest.Digest{1}}},
		[]string{"UpToDate", "SWHardeningNeeded"})
	require.NoError(t, err)
	return c
}

func TestTOMLIsWhatMerodReads(t *testing.T) {
	t.Parallel()
	hex := func(s string) string { return `["` + strings.Repeat(s, 48) + `"]` }
	require.Equal(t, `# of a release
[tee.kms.phala]
url = "https://kms.example:8443/"

[tee.kms.phala.attestation]
enabled = true
accept_mock = false
allowed_tcb_statuses = ["UpToDate", "SWHardeningNeeded"]
allowed_mrtd = `+hex("a0")+`
allowed_rtmr0 = `+hex("a1")+`
allowed_rtmr1 = `+hex("a2")+`
allowed_rtmr2 = `+hex("a3")+`
allowed_rtmr3 = []
allowed_compose_hashes = ["01`+strings.Repeat("00", 31)+`"]
binding_b64 = "IyP+rOn9F1GomrK+u4q6FF80OjaI49FlXtQo6wdm45Y="
`, string(example(t).TOML("of a release")))
}

// merodConfig is what merod 0.11.0-rc.47 and later read below [tee.kms.phala] (calimero-network/core, crates/config and
// crates/merod, read 2026-11): names, types, and which may be missing.
type merodConfig struct {
	URL string `toml:"url"`
	TLS struct {
		CACertPath     *string `toml:"ca_cert_path"`
		ClientCertPath *string `toml:"client_cert_path"`
		ClientKeyPath  *string `toml:"client_key_path"`
	} `toml:"tls"`
	Attestation struct {
		Enabled              bool     `toml:"enabled"`
		AcceptMock           bool     `toml:"accept_mock"`
		AllowedTCBStatuses   []string `toml:"allowed_tcb_statuses"`
		AllowedMRTD          []string `toml:"allowed_mrtd"`
		AllowedRTMR0         []string `toml:"allowed_rtmr0"`
		AllowedRTMR1         []string `toml:"allowed_rtmr1"`
		AllowedRTMR2         []string `toml:"allowed_rtmr2"`
		AllowedRTMR3         []string `toml:"allowed_rtmr3"`
		AllowedComposeHashes []string `toml:"allowed_compose_hashes"`
		BindingB64           *string  `toml:"binding_b64"`
		PolicyJSONPath       *string  `toml:"policy_json_path"`
	} `toml:"attestation"`
}

// The file of testdata is what -attest writes. merod passes over what it does not know, so a key that it has no field
// for would pin nothing: each of ours has one, of its type, in the form that merod compares.
func TestMerodReadsEveryPin(t *testing.T) {
	t.Parallel()
	fixture, err := os.ReadFile("testdata/merod-kms.toml")
	require.NoError(t, err)
	c := example(t)
	verdict := new(tdx.Verdict)
	verdict.Registers.RTMR3 = register(0x13)
	c.Pin(&agent.KMSReport{Verdict: verdict})
	require.Equal(t, string(fixture), string(c.TOML("mero-kms-v1.2.0, locked-read-only")))

	var read struct {
		TEE struct {
			KMS struct {
				Phala merodConfig `toml:"phala"`
			} `toml:"kms"`
		} `toml:"tee"`
	}
	meta, err := toml.Decode(string(fixture), &read)
	require.NoError(t, err)
	require.Empty(t, meta.Undecoded())
	a := read.TEE.KMS.Phala.Attestation
	require.True(t, a.Enabled)
	require.False(t, a.AcceptMock)
	for name, list := range map[string][]string{"mrtd": a.AllowedMRTD, "rtmr0": a.AllowedRTMR0, "rtmr1": a.AllowedRTMR1,
		"rtmr2": a.AllowedRTMR2, "rtmr3": a.AllowedRTMR3} {
		require.Len(t, list, 1, name) // an empty one is refused where attestation is enabled
		require.Regexp(t, "^[0-9a-f]{96}$", list[0], name)
	}
	require.Len(t, a.AllowedComposeHashes, 1)
	require.Regexp(t, "^[0-9a-f]{64}$", a.AllowedComposeHashes[0])
	require.NotEmpty(t, a.AllowedTCBStatuses)
	binding, err := base64.StdEncoding.DecodeString(*a.BindingB64)
	require.NoError(t, err)
	require.Len(t, binding, 32)
}

func TestBothFormatsSayTheSame(t *testing.T) {
	t.Parallel()
	c := example(t)
	verdict := new(tdx.Verdict)
	verdict.Registers.RTMR3 = register(3)
	c.Pin(&agent.KMSReport{Verdict: verdict})
	asJSON, err := c.JSON()
	require.NoError(t, err)
	for _, data := range [][]byte{c.TOML("made\nhere"), asJSON} {
		again, err := clientconfig.Decode(data)
		require.NoError(t, err)
		require.Equal(t, c, again)
		want, err := again.Expectation(nil)
		require.NoError(t, err)
		require.Equal(t, agent.Expectation{TCB: tcb.List{AllowedTCBStatus: []string{"UpToDate", "SWHardeningNeeded"}},
			TCBFile: "allowed_tcb_statuses of this node's configuration", ComposeHash: [32]byte{1},
			RTMR3:     []tdx.Register{register(3)},
			Registers: tdx.Registers{MRTD: register(0xa0), RTMR0: register(0xa1), RTMR1: register(0xa2), RTMR2: register(0xa3)}},
			want)
	}
}

// A file that would let less than the release in, or more, is not used.
func TestRefusedFiles(t *testing.T) {
	t.Parallel()
	good := string(example(t).TOML())
	for name, edit := range map[string][2]string{
		"a mock is accepted":         {"accept_mock = false", "accept_mock = true"},
		"attestation is off":         {"enabled = true", "enabled = false"},
		"no TCB status":              {`["UpToDate", "SWHardeningNeeded"]`, "[]"},
		"no MRTD":                    {"allowed_mrtd", "allowed_mrt"},
		"a register twice":           {`allowed_rtmr2 = [`, `allowed_rtmr2 = ["` + strings.Repeat("bb", 48) + `", `},
		"a zero register":            {strings.Repeat("a1", 48), strings.Repeat("00", 48)},
		"a short register":           {strings.Repeat("a1", 48), strings.Repeat("a1", 47)},
		"no compose hash":            {`["01` + strings.Repeat("00", 31) + `"]`, "[]"},
		"a compose hash of nothing":  {`"01` + strings.Repeat("00", 31), `"` + strings.Repeat("00", 32)},
		"another binding":            {"IyP+", "AAAA"},
		"a key over plain http":      {"https://kms.example:8443/", "http://kms.example/"},
		"credentials in the address": {"https://kms", "https://me:secret@kms"},
		"a key it does not know":     {"binding_b64", "extra = 1\nbinding_b64"},
		"a key in another case":      {"accept_mock = false", "Accept_Mock = false"},
		"a mock beside another case": {"accept_mock = false", "accept_mock = true\nAccept_Mock = false"},
		"a pin that merod overlooks": {"allowed_rtmr3 =", "Allowed_RTMR3 ="},
		"a section in another case":  {"[tee.kms.phala.attestation]", "[tee.kms.Phala.attestation]"},
		"not TOML":                   {"[tee.kms.phala]", "[tee.kms.phala"},
		"JSON with more behind":      {good, `{"tee":{}} {}`},
		"nothing":                    {good, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, good, edit[0])
			_, err := clientconfig.Decode([]byte(strings.Replace(good, edit[0], edit[1], 1)))
			require.Error(t, err)
			require.Equal(t, fault.Usage, fault.CodeOf(err))
		})
	}
}

func TestCredentialsInTheAddressAreNotRepeated(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"https://me:secret@kms", "https://secret@kms", "https://kms/?token=secret",
		"https://me:secret@k ms"} {
		_, err := clientconfig.New(address, measurement.Profile{}, []string{"UpToDate"})
		var f *fault.Error
		require.ErrorAs(t, err, &f)
		require.NotContains(t, f.Error()+f.Got, "secret", address)
	}
}

func FuzzDecode(f *testing.F) {
	c := example(f)
	asJSON, err := c.JSON()
	require.NoError(f, err)
	f.Add(asJSON)
	f.Add(c.TOML())
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := clientconfig.Decode(data)
		if err != nil {
			return
		}
		again, err := clientconfig.Decode(c.TOML())
		require.NoError(t, err)
		require.Equal(t, c.TOML(), again.TOML())
	})
}
