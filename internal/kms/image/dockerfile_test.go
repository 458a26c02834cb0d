package image_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/image"
	"github.com/calimero-network/mero-tee/internal/release"
)

// ofText are the options for a Dockerfile that is not the shipped one.
func ofText(t testing.TB, text string) image.Options {
	t.Helper()
	o := options(buildContext(t, 0o755, epoch))
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(o.Context, "link")))
	huge := filepath.Join(o.Context, "huge")
	require.NoError(t, os.WriteFile(huge, nil, 0o600))
	require.NoError(t, os.Truncate(huge, 513<<20)) // takes no room
	o.Dockerfile = filepath.Join(t.TempDir(), "Dockerfile")
	require.NoError(t, os.WriteFile(o.Dockerfile, []byte(text), 0o600))
	return o
}

func buildText(t testing.TB, text string) error {
	t.Helper()
	_, err := image.Build(ofText(t, text))
	return err
}

// configured is what the Dockerfile says of the image that it makes.
func configured(t testing.TB, text string) v1.Config {
	t.Helper()
	built, err := image.Build(ofText(t, text))
	require.NoError(t, err)
	file, err := built[release.Debug].ConfigFile()
	require.NoError(t, err)
	return file.Config
}

func TestRefusedByLineAndInstruction(t *testing.T) {
	t.Parallel()
	const copied = "COPY --chmod=0755 mero-kms-linux-amd64 /mero-kms"
	for name, tc := range map[string]struct{ text, want string }{
		"RUN":                  {"FROM scratch\n\n# c\nRUN true\n", ":4: RUN is not supported"},
		"ADD":                  {"FROM scratch\nADD x /x\n", ":2: ADD is not supported"},
		"ENV":                  {"FROM scratch\nENV A=b\n", ":2: ENV is not supported"},
		"HEALTHCHECK":          {"FROM scratch\nHEALTHCHECK NONE\n", ":2: HEALTHCHECK is not supported"},
		"ONBUILD":              {"FROM scratch\nONBUILD RUN x\n", ":2: ONBUILD is not supported"},
		"unknown instruction":  {"FROM scratch\nCOPPY a /a\n", ":2: COPPY is not supported"},
		"other base":           {"FROM debian:12\n", ":1: FROM is not the only stage"},
		"two stages":           {"FROM scratch AS a\nFROM scratch\n", ":1: FROM is not the only stage"},
		"platform":             {"FROM --platform=linux/amd64 scratch\n", ":1: FROM is not the only stage"},
		"ARG before FROM":      {"ARG A=1\nFROM scratch\n", ":1: ARG stands before FROM"},
		"no FROM":              {"LABEL a=b\n", "no build stage"},
		"empty":                {"", "no instructions"},
		"variable not set":     {"FROM scratch\nARG NOPE\nCOPY --chmod=0755 x-${NOPE} /x\n", ":3: COPY variable in"},
		"variable undeclared":  {"FROM scratch\nCOPY --chmod=0755 image-profile/${PROFILE} /x\n", ":2: COPY variable in"},
		"empty variable":       {"FROM scratch\nARG NOPE\nLABEL a=\"${NOPE#x}\"\n", ":3: LABEL variable in"},
		"one of two without":   {"FROM scratch\nARG A\nARG B\nLABEL a=\"${A:-x}$B\"\n", ":4: LABEL variable in"},
		"default without":      {"FROM scratch\nARG A\nARG B\nLABEL a=${A:-${B}}\n", ":4: LABEL variable in"},
		"demanded variable":    {"FROM scratch\nARG A\nLABEL a=${A:?wanted}\n", ": A: wanted"},
		"whiteout":             {"FROM scratch\nCOPY --chmod=0644 mero-kms-linux-amd64 /etc/.wh.hosts\n", ":2: COPY to"},
		"whiteout of a folder": {"FROM scratch\nCOPY --chmod=0644 mero-kms-linux-amd64 /.wh..wh..opq/x\n", ":2: COPY to"},
		"file where a folder must be": {"FROM scratch\n" + copied + "\nCOPY --chmod=0644 mero-kms-linux-amd64 /mero-kms/x\n",
			":3: COPY to \"mero-kms/x\": line 2 has put a file"},
		"folder where a file must be": {"FROM scratch\nCOPY --chmod=0755 mero-kms-linux-amd64 /a/b/c\n" +
			"COPY --chmod=0644 mero-kms-linux-amd64 /a/b\n", ":3: COPY to \"a/b\": line 2 has put something there"},
		"the same file twice": {"FROM scratch\n" + copied + "\n" + copied + "\n",
			":3: COPY to \"mero-kms\": line 2 has put something there"},
		"a path that a layer cannot say": {"FROM scratch\nCOPY --chmod=0755 mero-kms-linux-amd64 /gr\u00f6\u00dfe\n",
			":2: COPY to \"gr\u00f6\u00dfe\": a layer cannot say this path"},
		"a path that is too long": {"FROM scratch\nCOPY --chmod=0755 mero-kms-linux-amd64 /" + strings.Repeat("a", 101),
			": a layer cannot say this path"},
		"too many files": {"FROM scratch\n" + copies(1001), ":1002: COPY to \"1000\": an image holds at most 1000"},
		"too many folders, each in its layer": {"FROM scratch\n" + strings.ReplaceAll(copies(300), " /", " /a/b/c/"),
			":252: COPY to \"a/b/c/250\": an image holds at most 1000"},
		"too many bytes": {"FROM scratch\nCOPY --chmod=0755 huge /x\n", ":2: COPY to \"x\": an image holds at most"},
		"no chmod":       {"FROM scratch\nCOPY mero-kms-linux-amd64 /x\n", ":2: COPY has no octal --chmod"},
		"symbolic chmod": {"FROM scratch\nCOPY --chmod=u+x mero-kms-linux-amd64 /x\n", ":2: COPY has no octal --chmod"},
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
		"signed chmod": {"FROM scratch\nCOPY --chmod=+755 mero-kms-linux-amd64 /x\n",
			":2: COPY has no octal --chmod"},
		"negative chmod": {"FROM scratch\nCOPY --chmod=-0 mero-kms-linux-amd64 /x\n",
			":2: COPY has no octal --chmod"},
		"no entrypoint":    {"FROM scratch\n" + copied + "\n", ":1: ENTRYPOINT names no program"},
		"empty entrypoint": {"FROM scratch\n" + copied + "\nENTRYPOINT []\n", ":3: ENTRYPOINT names no program"},
		"entrypoint not there": {"FROM scratch\n" + copied + "\nENTRYPOINT [\"/kms\"]\n",
			":3: ENTRYPOINT of \"/kms\" is not in"},
		"a folder as entrypoint": {"FROM scratch\nCOPY --chmod=0755 mero-kms-linux-amd64 /a/b\nENTRYPOINT [\"/a\"]\n",
			":3: ENTRYPOINT of \"/a\" is not in"},
		"relative entrypoint": {"FROM scratch\n" + copied + "\nENTRYPOINT [\"mero-kms\"]\n",
			":3: ENTRYPOINT of \"mero-kms\" is not in"},
		"entrypoint that cannot run": {"FROM scratch\nENTRYPOINT [\"/x\"]\nCOPY --chmod=0644 mero-kms-linux-amd64 /x\n",
			":2: ENTRYPOINT of \"/x\" may not be executed: its mode is 0644"},
		"the last entrypoint": {"FROM scratch\n" + copied + "\nENTRYPOINT [\"/mero-kms\"]\nENTRYPOINT [\"/x\"]\n",
			":4: ENTRYPOINT of \"/x\" is not in"},
		"user by name":          {"FROM scratch\nUSER nobody\n", ":2: USER of \"nobody\" is not a number"},
		"no user":               {"FROM scratch\nUSER \"\"\n", ":2: USER of "},
		"user of three":         {"FROM scratch\nUSER 1:2:3\n", ":2: USER of \"1:2:3\" is not a number"},
		"user too large":        {"FROM scratch\nUSER 99999999999\n", ":2: USER of \"99999999999\" is not a number"},
		"shell entrypoint":      {"FROM scratch\n" + copied + "\nENTRYPOINT /mero-kms\n", ":3: ENTRYPOINT needs a shell"},
		"range of ports":        {"FROM scratch\nEXPOSE 80-90\n", `:2: EXPOSE of "80-90" is not a port`},
		"port too high":         {"FROM scratch\nEXPOSE 8080 65536\n", `:2: EXPOSE of "65536" is not a port`},
		"port 0":                {"FROM scratch\nEXPOSE 0/tcp\n", `:2: EXPOSE of "0/tcp" is not a port`},
		"port of two spellings": {"FROM scratch\nEXPOSE 08080\n", `:2: EXPOSE of "08080" is not a port`},
		"port with a sign":      {"FROM scratch\nEXPOSE +80\n", `:2: EXPOSE of "+80" is not a port`},
		"other protocol":        {"FROM scratch\nEXPOSE 80/sctp\n", `:2: EXPOSE of "80/sctp" is not a port`},
		"port without a value":  {"FROM scratch\nARG P\nEXPOSE $P\n", `:3: EXPOSE variable in "$P" has no value`},
		"no port":               {"FROM scratch\nARG P\nEXPOSE ${P:-}\n", `:3: EXPOSE of "" is not a port`},
		"the builder's machine": {"FROM scratch\nARG BUILDARCH=x\n", ":2: ARG of BUILDARCH is the builder's"},
		"no protocol":           {"FROM scratch\nEXPOSE 80/\n", `:2: EXPOSE of "80/" is not a port`},
		"broken JSON label":     {"FROM scratch\nLABEL a\n", ":2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := buildText(t, tc.text)
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, fault.Usage, fault.CodeOf(err))
		})
	}
}

// copies are as many files, each in a layer of its own.
func copies(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "COPY --chmod=0644 image-profile/debug /%d\n", i)
	}
	return b.String()
}

// What a variable without a value stands for is what the Dockerfile says, and a protocol has one spelling.
func TestDefaultsAndPorts(t *testing.T) {
	t.Parallel()
	const text = "FROM scratch\nARG UNSET\nARG EMPTY=\nARG DOLLAR=a\\$b\n" +
		"LABEL one=\"${UNSET:-plain}\" two=${UNSET-plain} three=\"${UNSET:-}\" four=${UNSET:+x} five=${EMPTY:-plain}\n" +
		"LABEL six=$EMPTY seven=${DOLLAR}${UNSET:-c} eight=${NOBODYS:-plain} nine=${EMPTY+${UNSET:-pinned}}\n" +
		"EXPOSE 8080/TCP 8080 53/Udp 1 65535\nCOPY --chmod=0755 mero-kms-linux-amd64 /x\nENTRYPOINT [\"/x\"]\n"
	config := configured(t, text)
	for label, want := range map[string]string{"one": "plain", "two": "plain", "three": "", "four": "", "five": "plain",
		"six": "", "seven": "a$bc", "eight": "plain", "nine": "pinned"} {
		got, there := config.Labels[label]
		require.True(t, there, label)
		require.Equal(t, want, got, label)
	}
	require.Equal(t, map[string]struct{}{"8080/tcp": {}, "53/udp": {}, "1/tcp": {}, "65535/tcp": {}},
		config.ExposedPorts)
}

// A port may be a variable, and the platform is the one that the image is for, as other builders have it.
func TestPortsAndPlatformsByVariables(t *testing.T) {
	t.Parallel()
	const text = "FROM scratch\nARG PORT=8080\nARG PORTS=\"1 2/udp\"\nARG UNSET\nARG TARGETPLATFORM\nARG TARGETOS\n" +
		"ARG TARGETARCH=arm64\nARG TARGETVARIANT\n" +
		"LABEL one=$TARGETPLATFORM two=${TARGETOS:-plan9} three=$TARGETARCH four=${TARGETVARIANT}\n" +
		"EXPOSE $PORT ${UNSET:-53}/UDP $PORTS\nCOPY --chmod=0755 mero-kms-linux-amd64 /x\nENTRYPOINT [\"/x\"]\n"
	config := configured(t, text)
	require.Equal(t, map[string]struct{}{"8080/tcp": {}, "53/udp": {}, "1/tcp": {}, "2/udp": {}}, config.ExposedPorts)
	for label, want := range map[string]string{"one": "linux/amd64", "two": "linux", "three": "arm64", "four": ""} {
		require.Equal(t, want, config.Labels[label], label)
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
