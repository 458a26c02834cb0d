package agent_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/agent"
)

func TestMissionThroughMetadata(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]agent.Mission{
		"nothing but a nonce": {Nonce: agent.NewNonce()},
		"an operator's":       {Nonce: agent.NewNonce(), Config: []byte("[tee]\n")},
		"a test's": {Nonce: agent.NewNonce(), Visits: []agent.Visit{
			{Name: "one & only", Config: []byte("[tee]\nurl = \"<x>\"\n")}, {Name: "two", Config: []byte("x")}}},
		"a test's, that boots again": {Nonce: agent.NewNonce(), Visits: []agent.Visit{{Name: "one", Config: []byte("x")}},
			Identity: &[32]byte{31: 7}},
		"a test's, that asks for health": {Nonce: agent.NewNonce(), Health: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			attributes, err := m.Attributes()
			require.NoError(t, err)
			again, err := agent.ParseMission(attributes)
			require.NoError(t, err)
			require.Equal(t, m, again)
		})
	}
}

// The contract with those who write the attributes: the configuration is text in mero-visits.
func TestVisitsAttribute(t *testing.T) {
	t.Parallel()
	attributes, err := agent.Mission{Visits: []agent.Visit{{Name: "a", Config: []byte("x = 1\n")}}}.Attributes()
	require.NoError(t, err)
	require.JSONEq(t, `[{"name":"a","config":"x = 1\n"}]`, attributes["mero-visits"])
	require.Equal(t, strings.Repeat("00", 32), attributes["mero-nonce"])
	require.NotContains(t, attributes, "mero-client-config")
}

func TestWithoutANonceTheNodeChoosesOne(t *testing.T) {
	t.Parallel()
	one, err := agent.ParseMission(nil)
	require.NoError(t, err)
	two, err := agent.ParseMission(nil)
	require.NoError(t, err)
	require.NotEqual(t, one.Nonce, two.Nonce)
	require.NotEqual(t, [32]byte{}, one.Nonce)
}

func TestParseMissionRefuses(t *testing.T) {
	t.Parallel()
	many, err := json.Marshal(visits(65))
	require.NoError(t, err)
	for name, tc := range map[string]struct{ attribute, value, want string }{
		"a short nonce":       {agent.NonceAttribute, "00ff", "nonce"},
		"a nonce not hex":     {agent.NonceAttribute, strings.Repeat("zz", 32), "nonce"},
		"a short identity":    {agent.IdentityAttribute, "00ff", "mero-test-identity"},
		"identity, not hex":   {agent.IdentityAttribute, strings.Repeat("zz", 32), "mero-test-identity"},
		"another question":    {agent.HealthAttribute, "yes", "mero-ask-health"},
		"not JSON":            {agent.VisitsAttribute, "x", "invalid character"},
		"an unknown field":    {agent.VisitsAttribute, `[{"name":"a","config":"","key":"x"}]`, "unknown"},
		"trailing data":       {agent.VisitsAttribute, `[{"name":"a","config":""}] []`, "after the end"},
		"a name twice":        {agent.VisitsAttribute, `[{"name":"a","config":""},{"name":"a","config":""}]`, "twice"},
		"the operator's name": {agent.VisitsAttribute, `[{"name":"mero-client-config","config":""}]`, "twice"},
		"no name":             {agent.VisitsAttribute, `[{"name":"","config":""}]`, "0 characters"},
		"a long name": {agent.VisitsAttribute, `[{"name":"` + strings.Repeat("a", 101) + `","config":""}]`,
			"101 characters"},
		"a name with controls": {agent.VisitsAttribute, `[{"name":"\u001b[2J","config":""}]`, "printable"},
		"no visits":            {agent.VisitsAttribute, `[]`, "0 visits"},
		"too many visits":      {agent.VisitsAttribute, string(many), "65 visits"},
		"too large": {agent.VisitsAttribute, `[{"name":"a","config":"` + strings.Repeat("x", 256<<10) + `"}]`,
			"more than 262144"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := agent.ParseMission(map[string]string{tc.attribute: tc.value})
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, fault.Usage, fault.CodeOf(err))
		})
	}
	_, err = agent.Mission{Visits: []agent.Visit{{Name: "a"}, {Name: "a"}}}.Attributes()
	require.ErrorContains(t, err, "twice", "what would be refused is not written")
}

func visits(n int) (out []map[string]string) {
	for i := range n {
		out = append(out, map[string]string{"name": fmt.Sprint(i), "config": "x"})
	}
	return out
}

func TestAnOperatorsNodeChoosesItsIdentity(t *testing.T) {
	t.Parallel()
	_, err := agent.ParseMission(map[string]string{agent.ConfigAttribute: "[tee]",
		agent.IdentityAttribute: strings.Repeat("07", 32)})
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, fault.Usage, f.Code)
	require.Contains(t, f.Expected, "without mero-client-config")
	require.NotContains(t, f.Got, "07", "a seed is not repeated")
}

func FuzzParseMission(f *testing.F) {
	f.Add("", `[{"name":"a","config":"x"}]`)
	f.Add(strings.Repeat("5a", 32), `[]`)
	f.Fuzz(func(t *testing.T, nonce, visits string) {
		m, err := agent.ParseMission(map[string]string{agent.NonceAttribute: nonce, agent.VisitsAttribute: visits})
		if err != nil {
			require.Equal(t, fault.Usage, fault.CodeOf(err))
			return
		}
		attributes, err := m.Attributes()
		require.NoError(t, err)
		again, err := agent.ParseMission(attributes)
		require.NoError(t, err)
		require.Equal(t, m, again)
		for _, v := range m.Visits {
			require.False(t, bytes.ContainsFunc([]byte(v.Name), func(r rune) bool { return r < ' ' }))
		}
	})
}
