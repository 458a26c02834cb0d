package image_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/image"
)

// buildText builds a Dockerfile that is not the shipped one.
func buildText(t testing.TB, text string) error {
	t.Helper()
	o := options(buildContext(t, 0o755, epoch))
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(o.Context, "link")))
	o.Dockerfile = filepath.Join(t.TempDir(), "Dockerfile")
	require.NoError(t, os.WriteFile(o.Dockerfile, []byte(text), 0o600))
	_, err := image.Build(o)
	return err
}

func TestRefusedByLineAndInstruction(t *testing.T) {
	t.Parallel()
	const copied = "COPY --chmod=0755 mero-kms-linux-amd64 /mero-kms"
	for name, tc := range map[string]struct{ text, want string }{
		"RUN":                 {"FROM scratch\n\n# c\nRUN true\n", ":4: RUN is not supported"},
		"ADD":                 {"FROM scratch\nADD x /x\n", ":2: ADD is not supported"},
		"ENV":                 {"FROM scratch\nENV A=b\n", ":2: ENV is not supported"},
		"HEALTHCHECK":         {"FROM scratch\nHEALTHCHECK NONE\n", ":2: HEALTHCHECK is not supported"},
		"ONBUILD":             {"FROM scratch\nONBUILD RUN x\n", ":2: ONBUILD is not supported"},
		"unknown instruction": {"FROM scratch\nCOPPY a /a\n", ":2: COPPY is not supported"},
		"other base":          {"FROM debian:12\n", ":1: FROM is not the only stage"},
		"two stages":          {"FROM scratch AS a\nFROM scratch\n", ":1: FROM is not the only stage"},
		"platform":            {"FROM --platform=linux/amd64 scratch\n", ":1: FROM is not the only stage"},
		"ARG before FROM":     {"ARG A=1\nFROM scratch\n", ":1: ARG stands before FROM"},
		"no FROM":             {"LABEL a=b\n", "no build stage"},
		"empty":               {"", "no instructions"},
		"variable not set":    {"FROM scratch\nARG NOPE\nCOPY --chmod=0755 x-${NOPE} /x\n", ":3: COPY variable in"},
		"variable undeclared": {"FROM scratch\nCOPY --chmod=0755 image-profile/${PROFILE} /x\n", ":2: COPY variable in"},
		"no chmod":            {"FROM scratch\nCOPY mero-kms-linux-amd64 /x\n", ":2: COPY has no octal --chmod"},
		"symbolic chmod":      {"FROM scratch\nCOPY --chmod=u+x mero-kms-linux-amd64 /x\n", ":2: COPY has no octal --chmod"},
		"setuid": {"FROM scratch\nCOPY --chmod=4755 mero-kms-linux-amd64 /x\n",
			":2: COPY has no octal --chmod"},
		"chown": {"FROM scratch\nCOPY --chown=1 --chmod=0755 mero-kms-linux-amd64 /x\n",
			":2: COPY has a flag"},
		"from": {"FROM scratch\nCOPY --from=x --chmod=0755 a /x\n", ":2: COPY has a flag"},
		"here-document": {"FROM scratch\nCOPY --chmod=0644 <<EOF /x\ntext\nEOF\n",
			":2: COPY has a flag or a here-document"},
		"two sources": {"FROM scratch\nCOPY --chmod=0755 a b /x/\n", ":2: COPY does not name one file"},
		"relative target": {"FROM scratch\nCOPY --chmod=0755 mero-kms-linux-amd64 x\n",
			":2: COPY does not name one file"},
		"folder as target": {"FROM scratch\nCOPY --chmod=0755 mero-kms-linux-amd64 /x/\n",
			":2: COPY does not name one file"},
		"folder as source": {"FROM scratch\nCOPY --chmod=0755 image-profile /x\n",
			":2: COPY image-profile is not a regular file"},
		"missing source":       {"FROM scratch\nCOPY --chmod=0755 absent /x\n", ":2: COPY openat absent: no such file"},
		"source above context": {"FROM scratch\nCOPY --chmod=0755 ../x /x\n", "escapes"},
		"link out of context":  {"FROM scratch\nCOPY --chmod=0755 link /x\n", "escapes"},
		"shell entrypoint":     {"FROM scratch\n" + copied + "\nENTRYPOINT /mero-kms\n", ":3: ENTRYPOINT needs a shell"},
		"port":                 {"FROM scratch\nEXPOSE 80-90\n", `:2: EXPOSE of "80-90" is not a port`},
		"broken JSON label":    {"FROM scratch\nLABEL a\n", ":2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := buildText(t, tc.text)
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, fault.Usage, fault.CodeOf(err))
		})
	}
}

func TestMissingDockerfile(t *testing.T) {
	t.Parallel()
	o := options(t.TempDir())
	o.Dockerfile = filepath.Join(t.TempDir(), "absent")
	_, err := image.Build(o)
	require.Equal(t, fault.Usage, fault.CodeOf(err))
}

func FuzzDockerfile(f *testing.F) {
	file, err := os.ReadFile(shipped)
	require.NoError(f, err)
	f.Add(string(file))
	for _, s := range []string{"FROM scratch\nLABEL a=${PROFILE:-x}", "# escape=`\nFROM scratch\nCOPY --chmod=0 a /b",
		"FROM scratch\nARG A=$A\nEXPOSE 1/udp", "FROM scratch\nENTRYPOINT [\"/x\"]", strings.Repeat("FROM scratch\n", 3)} {
		f.Add(s)
	}
	dir := buildContext(f, 0o755, epoch)
	n := 0
	f.Fuzz(func(t *testing.T, text string) {
		n++
		o := options(dir)
		o.Dockerfile = filepath.Join(t.TempDir(), fmt.Sprint("Dockerfile", n))
		require.NoError(t, os.WriteFile(o.Dockerfile, []byte(text), 0o600))
		if _, err := image.Build(o); err != nil {
			require.Equal(t, fault.Usage, fault.CodeOf(err), "%v", err)
		}
	})
}
