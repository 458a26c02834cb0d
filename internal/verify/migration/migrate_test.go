package migration_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/compose"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/migration"
	"github.com/calimero-network/mero-tee/policies"
)

func tag(s string) release.Tag {
	t, err := release.ParseTag(s)
	if err != nil {
		panic(err)
	}
	return t
}

// policy admits one tuple of each node release; its first byte tells them apart.
func policy(tcb []string, nodes ...string) *policies.Policy {
	p := &policies.Policy{AllowedTCBStatus: tcb}
	for _, n := range nodes {
		t := tag("mero-tee-v" + n)
		p.Measurements = append(p.Measurements, policies.Measurement{NodeRelease: t,
			Registers: tdx.Registers{MRTD: tdx.Register{1}, RTMR1: tdx.Register{byte(t.Version.Minor)}}})
	}
	return p
}

func example(t *testing.T) migration.Migration {
	t.Helper()
	app, err := compose.AppCompose(release.Debug,
		[]byte(`{"services":{"mero-kms":{"environment":{"LISTEN_ADDR":"x","MERO_KMS_POLICY_SHA256":"aa",`+
			`"MERO_KMS_POLICY_URL":"https://github.com/p","MERO_KMS_PROFILE":"debug","MERO_KMS_VERSION":"1.3.0"}}}}`))
	require.NoError(t, err)
	return migration.Migration{Profile: release.Debug,
		From: migration.Release{Tag: tag("mero-kms-v1.2.0"),
			Policy: policy([]string{"UpToDate", "SWHardeningNeeded"}, "1.1.0", "1.2.0")},
		To: migration.Release{Tag: tag("mero-kms-v1.3.0"), Policy: policy([]string{"UpToDate"}, "1.2.0", "1.3.0"),
			AppCompose: app}}
}

func declare(t *testing.T, pairs ...[2]string) *catalog.Catalog {
	t.Helper()
	c := &catalog.Catalog{SchemaVersion: catalog.SchemaVersion, Entries: []catalog.Entry{}}
	for _, p := range pairs {
		var err error
		c, err = catalog.Declare(c, catalog.PairOf(tag("mero-kms-v"+p[0]), tag("mero-tee-v"+p[1])), "")
		require.NoError(t, err)
	}
	return c
}

func TestPairs(t *testing.T) {
	t.Parallel()
	nodes, result := example(t).Pairs(declare(t, [2]string{"1.3.0", "1.2.0"}, [2]string{"1.3.0", "1.3.0"},
		[2]string{"1.3.0", "1.4.0"}, [2]string{"1.2.0", "1.1.0"}))
	require.NoError(t, result.Err())
	require.Equal(t, []release.Tag{tag("mero-tee-v1.3.0"), tag("mero-tee-v1.2.0")}, nodes,
		"newest first; 1.4.0 is not in the policy")
	for name, c := range map[string]*catalog.Catalog{
		"nothing is listed":              declare(t),
		"only the old version is listed": declare(t, [2]string{"1.2.0", "1.2.0"}),
		"what is listed is not admitted": declare(t, [2]string{"1.3.0", "1.4.0"}),
		"the profile is not in the entry": {SchemaVersion: "1", Entries: []catalog.Entry{{KMS: tag("mero-kms-v1.3.0").Version,
			NodeImage: tag("mero-tee-v1.3.0").Version, Profiles: []release.Profile{release.LockedReadOnly}}}},
	} {
		_, result := example(t).Pairs(c)
		require.Equal(t, fault.Verification, fault.CodeOf(result.Err()), name)
	}
}

func TestSession(t *testing.T) {
	t.Parallel()
	m := example(t)
	node, ok := m.Session()
	require.True(t, ok)
	require.Equal(t, tag("mero-tee-v1.2.0"), node)
	m.From.Policy = policy(nil, "1.1.0")
	_, ok = m.Session()
	require.False(t, ok)
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	m := example(t)
	got, err := m.Environment()
	require.NoError(t, err)
	require.Equal(t, []migration.Variable{{"MERO_KMS_VERSION", "1.3.0"}, {"MERO_KMS_PROFILE", "debug"},
		{"MERO_KMS_POLICY_URL", "https://github.com/p"}, {"MERO_KMS_POLICY_SHA256", "aa"}}, got)
	m.To.AppCompose, err = compose.AppCompose(release.Debug, []byte(`{"services":{"mero-kms":{"environment":{}}}}`))
	require.NoError(t, err)
	_, err = m.Environment()
	require.ErrorContains(t, err, "compose file")
	m.To.AppCompose = []byte("{}")
	_, err = m.Environment()
	require.Equal(t, fault.Verification, fault.CodeOf(err))
}

func TestDiff(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, example(t).WriteDiff(&out))
	hex := func(first string) string { return first + strings.Repeat("0", 94) }
	tuple := func(sign, rtmr1 string) string {
		return sign + "   mrtd  " + hex("01") + "\n" + sign + "   rtmr0 " + hex("00") + "\n" + sign + "   rtmr1 " +
			hex(rtmr1) + "\n" +
			sign + "   rtmr2 " + hex("00") + "\n" + sign + "   rtmr3 " + hex("00") + "\n"
	}
	require.Equal(t, "- tcb_status SWHardeningNeeded\n- mero-tee-v1.1.0\n"+tuple("-", "01")+"+ mero-tee-v1.3.0\n"+
		tuple("+", "03")+"  1 measurements in both\n", out.String())
}
