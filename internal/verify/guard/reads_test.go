package guard_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// A script may look for the variables, say that they are forbidden, and take them away.
func TestAllowedClearsScriptsThatLookForTheVariables(t *testing.T) {
	t.Parallel()
	for _, script := range []string{
		"env -u ALLOWED_MRTD go tool mage x", "env --unset=ALLOWED_MRTD -u ALLOWED_RTMR0 A=b go tool mage x",
		"export -n ALLOWED_MRTD", "! declare -p ALLOWED_MRTD 2>/dev/null", "git grep -n ALLOWED_ -- .github && exit 1",
		"! rg ALLOWED_ .github", "echo \"no ALLOWED_MRTD is set\" >> \"$GITHUB_STEP_SUMMARY\"",
		"docker run --rm kms env | grep -q '^ALLOWED_' && exit 1", "docker inspect kms | grep -c ALLOWED_ || true",
		"if go tool mage guard:allowed 2>&1 | grep -q ALLOWED_MRTD; then echo fired; fi",
		"if env | grep -q '^ALLOWED_'; then gh issue comment 1 --body forbidden; exit 1; fi",
		"[ -z \"${ALLOWED_MRTD:-}\" ] && go tool mage release:kms", "{ printenv ALLOWED_MRTD && exit 1; } || go tool mage x",
		"(unset ALLOWED_MRTD; go tool mage x)", "if [ -n \"$ALLOWED_MRTD\" ]; then unset ALLOWED_MRTD; else mage x; fi",
		"while IFS='=' read -r k _; do\n  case \"$k\" in ALLOWED_*) echo \"$k\" >&2; exit 1 ;; esac\ndone < <(env)",
	} {
		r := run(script).judged(t)
		require.Equal(t, check.Passed, r.Status, "%s: %s", script, r.Got)
	}
}

// What such a statement finds or prints goes to nobody else.
func TestAllowedRefusesNamesThatAreHandedOn(t *testing.T) {
	t.Parallel()
	for _, script := range []string{
		"cat x | sed 's/A/ALLOWED_MRTD/' > f", "cat x | grep ALLOWED_ | xargs env mage x",
		"cat x | grep ALLOWED_ > f",
		"{ cat x | grep ALLOWED_; } > f", "echo ALLOWED_MRTD=00 | tee f", "if true; then mage ALLOWED_MRTD; fi",
		"[ -n \"$ALLOWED_MRTD\" ] && mage \"$ALLOWED_MRTD\"", "env -u A mage ALLOWED_MRTD",
		"export -n A; export ALLOWED_MRTD",
		"export ALLOWED_MRTD -n", "declare -px ALLOWED_MRTD=00", "git config x ALLOWED_MRTD",
		"env ALLOWED_MRTD=00 -u A mage x",
		"echo ALLOWED_MRTD >> \"$GITHUB_STEP_SUMMARY.sh\"", "cp x \"${!f}\" | grep ALLOWED_",
		"for v in ALLOWED_MRTD; do mage \"$v\"; done", "while read -r v; do export \"$v\"; done <<< ALLOWED_MRTD=00",
	} {
		require.Equal(t, fault.Verification, fault.CodeOf(run(script).judged(t).Err()), script)
	}
}
