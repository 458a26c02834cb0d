package boot

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/provider/gce/guestattr"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Each judgement of a node with a TD fires for what it is about, and for nothing else.
func TestJudgeLent(t *testing.T) {
	t.Parallel()
	units := []string{"mero-agent.service active yes", "merod.service active yes", "traefik.service active yes",
		"vector.service inactive no"}
	ports := []string{"udp UNCONN 0 0 10.128.0.2%ens4:68 0.0.0.0:*", "tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:*",
		"tcp LISTEN 0 4096 *:80 *:*", "tcp LISTEN 0 4096 127.0.0.53%lo:53 0.0.0.0:*", "tcp LISTEN 0 4096 [::1]:2528 [::]:*",
		"tcp LISTEN 0 4096 0.0.0.0:2428 0.0.0.0:*"}
	for name, tc := range map[string]struct {
		units, failed, ports []string
		want                 string
	}{
		"well":               {units, nil, ports, ""},
		"one failed":         {units, []string{"vector.service loaded failed failed Logs"}, ports, "no unit failed"},
		"one does not run":   {append([]string{"node_exporter.service activating yes"}, units...), nil, ports, "what waits"},
		"one was not begun":  {append([]string{"node_exporter.service inactive yes"}, units...), nil, ports, "what waits"},
		"merod has no home":  {append([]string{"merod.service inactive no"}, units[2:]...), nil, ports, "what waits"},
		"merod is not there": {units[:1], nil, ports, "what waits"},
		"nobody waited":      {nil, nil, ports, "what waits"},
		"merod's own server": {units, nil, append([]string{"tcp LISTEN 0 1 0.0.0.0:2528 0.0.0.0:*"}, ports...), "others may"},
		"one on IPv6":        {units, nil, append([]string{"tcp LISTEN 0 1 [::]:9100 [::]:*"}, ports...), "others may"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			results := judgeLent(&Lent{Units: tc.units, Ports: tc.ports}, tc.failed)
			if tc.want == "" {
				require.NoError(t, results.Err())
				return
			}
			require.Equal(t, 1, results.Count(check.Failed))
			for _, r := range results {
				require.Equal(t, r.Status == check.Failed, strings.Contains(r.Name, tc.want), r.Name)
			}
		})
	}
}

// A node that reports nothing, or something else, is not taken for one that proved itself.
func TestJudgeReport(t *testing.T) {
	t.Parallel()
	v, err := tdx.NewVerifier(tdx.Config{Root: [32]byte{1}, Collateral: tdx.NewCollateral(nil)})
	require.NoError(t, err)
	refused, err := (&agent.Report{Profile: release.Debug, Error: "no TD", ExitCode: 10}).Encode()
	require.NoError(t, err)
	s := &session{Request: Request{Profile: release.Debug}}
	torn := published(t, refused)
	delete(torn, "mero/report-0")
	for name, tc := range map[string]struct {
		attributes map[string]string
		want       []string
	}{
		"nothing":        {nil, []string{"not complete"}},
		"something else": {map[string]string{"mero/other": "{}", "other/report": "{}"}, []string{"not complete"}},
		"a part of it":   {torn, []string{"report-0"}},
		"no report":      {published(t, []byte("{")), []string{"the node's report"}},
		"its refusal":    {published(t, refused), []string{"the node says: no TD", "does not say whether it answers"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			results := s.judgeReport(t.Context(), v, agent.NewNonce(), tc.attributes)
			require.Len(t, results, len(tc.want))
			for i, r := range results {
				require.Equal(t, check.Failed, r.Status)
				require.Contains(t, r.Reason, tc.want[i])
			}
		})
	}
}

// published are the guest attributes of a report.
func published(t *testing.T, data []byte) map[string]string {
	t.Helper()
	entries, err := guestattr.Encode(guestattr.ReportName, data)
	require.NoError(t, err)
	out := map[string]string{}
	for _, e := range entries {
		out[guestattr.Namespace+"/"+e.Key] = e.Value
	}
	return out
}
