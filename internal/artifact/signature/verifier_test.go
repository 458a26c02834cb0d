package signature_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/sign"
	"github.com/calimero-network/mero-tee/internal/artifact/signature"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/rehearsal/sigstore"
	"github.com/calimero-network/mero-tee/internal/release"
)

func TestVerifiesBothRekorVersions(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]string{"v1": local(t).SigningConfigPath,
		"v2": local(t).SigningConfigRekorV2Path} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := time.Now().Add(-time.Minute)
			digest, raw := signedWith(t, newSigner(t, config, tokenOf(local(t), identity)))
			got, err := newVerifier(t, local(t), identity).Verify(digest, raw)
			require.NoError(t, err)
			require.WithinRange(t, got.Time, before, time.Now().Add(time.Minute))
			require.Len(t, got.LogID, 64)
			require.Equal(t, signature.Certificate{
				SAN: "https://github.com/calimero-network/mero-tee/.github/workflows/release-kms-phala.yaml@refs/tags/" +
					"mero-kms-v1.2.0",
				Issuer: signature.Issuer, Repository: repository, Ref: "refs/tags/mero-kms-v1.2.0", Commit: commit,
				Time: got.Time, LogID: got.LogID, LogIndex: got.LogIndex,
			}, got)
		})
	}
}

// A stranger knows the tag, not the commit: it is not demanded, but returned.
func TestStrangerLearnsTheCommit(t *testing.T) {
	t.Parallel()
	digest, raw := signedBy(t, local(t), identity)
	stranger := identity
	stranger.Commit = ""
	got, err := newVerifier(t, local(t), stranger).Verify(digest, raw)
	require.NoError(t, err)
	require.Equal(t, commit, got.Commit)
}

// Each of these was signed properly, by someone else.
func TestRefusesOtherSigners(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, local(t), identity)
	for name, c := range map[string]struct {
		change    func(*signature.Identity)
		what, got string
	}{
		"repository": {func(i *signature.Identity) { i.Repository = "calimero-network/other" }, "repository",
			"https://github.com/calimero-network/other"},
		"longer repository": {func(i *signature.Identity) { i.Repository += "x" }, "repository",
			"https://github.com/calimero-network/mero-teex"},
		"workflow": {func(i *signature.Identity) { i.Workflow = release.Node.Workflow() }, "identity",
			"https://github.com/calimero-network/mero-tee/.github/workflows/release-node-image-gcp.yaml@refs/tags/" +
				"mero-kms-v1.2.0"},
		"tag":    {func(i *signature.Identity) { i.Tag.Version.Minor = 3 }, "tag", "refs/tags/mero-kms-v1.3.0"},
		"rc":     {func(i *signature.Identity) { i.Tag.Version.Candidate = 1 }, "tag", "refs/tags/mero-kms-v1.2.0-rc.1"},
		"commit": {func(i *signature.Identity) { i.Commit = "1" + commit[1:] }, "commit", "1" + commit[1:]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			other := identity
			c.change(&other)
			digest, raw := signedBy(t, local(t), other)
			_, err := v.Verify(digest, raw)
			requireRefusal(t, err, c.what, c.got)
		})
	}
	t.Run("runner", func(t *testing.T) {
		t.Parallel()
		url := local(t).TokenURL(repository, identity.Workflow, identity.Ref(), commit) + "&runner_environment=self-hosted"
		digest, raw := signedWith(t, newSigner(t, local(t).SigningConfigPath,
			sign.RequestToken(http.DefaultClient, url, local(t).Bearer(), sign.Audience)))
		_, err := v.Verify(digest, raw)
		requireRefusal(t, err, "runner", "self-hosted")
	})
	t.Run("branch", func(t *testing.T) {
		t.Parallel()
		url := local(t).TokenURL(repository, identity.Workflow, "refs/heads/mero-kms-v1.2.0", commit)
		digest, raw := signedWith(t, newSigner(t, local(t).SigningConfigPath,
			sign.RequestToken(http.DefaultClient, url, local(t).Bearer(), sign.Audience)))
		_, err := v.Verify(digest, raw)
		requireRefusal(t, err, "tag", "refs/heads/mero-kms-v1.2.0")
	})
}

// requireRefusal demands the code, what was refused, and that Expected and Got say it.
func requireRefusal(t *testing.T, err error, what, got string) {
	t.Helper()
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, fault.Verification, f.Code)
	require.Equal(t, "signature refused: "+what, f.Message)
	require.Contains(t, f.Got, got)
	require.NotEmpty(t, f.Expected)
	require.NotEqual(t, f.Expected, f.Got)
}

// One folder, so one trusted root; the second run's tokens come from another issuer.
func TestRefusesAnotherIssuerUnderTheSameRoot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const foreign = "https://token.rehearsal.test"
	i := startAnother(t, sigstore.Options{Dir: dir, Issuer: foreign})
	digest, raw := signedBy(t, i, identity)
	_, err := newVerifier(t, i, identity).Verify(digest, raw)
	requireRefusal(t, err, "issuer", foreign)
}

func TestRefusesAnotherRoot(t *testing.T) {
	t.Parallel()
	other := startAnother(t, sigstore.Options{Dir: t.TempDir(), RekorV2: true})
	v := newVerifier(t, local(t), identity)
	for name, config := range map[string]string{"v1": other.SigningConfigPath, "v2": other.SigningConfigRekorV2Path} {
		digest, raw := signedWith(t, newSigner(t, config, tokenOf(other, identity)))
		_, err := newVerifier(t, other, identity).Verify(digest, raw)
		require.NoError(t, err, name)
		_, err = v.Verify(digest, raw)
		requireRefusal(t, err, "log", "")
	}
}

func startAnother(t *testing.T, o sigstore.Options) *sigstore.Instance {
	t.Helper()
	o.ToolsDir = toolsDir
	i, err := sigstore.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, i.Close()) })
	return i
}

// Each part of the trusted root is needed: a root that lacks one refuses, and says which.
func TestEachAuthorityIsNeeded(t *testing.T) {
	t.Parallel()
	digest, raw := signedBy(t, local(t), identity)
	other := startAnother(t, sigstore.Options{Dir: t.TempDir()})
	for part, what := range map[string]string{
		"tlogs": "log", "timestampAuthorities": "timestamp", "certificateAuthorities": "certificate",
		"ctlogs": "certificate transparency",
	} {
		t.Run(part, func(t *testing.T) {
			t.Parallel()
			path := t.TempDir() + "/root.json"
			mixRoot(t, local(t).TrustedRootPath, other.TrustedRootPath, part, path)
			v, err := signature.NewVerifier(trust(t, path), identity)
			require.NoError(t, err)
			_, err = v.Verify(digest, raw)
			requireRefusal(t, err, what, "")
		})
	}
}

// mixRoot writes the first root with one part taken from the second.
func mixRoot(t *testing.T, first, second, part, path string) {
	t.Helper()
	var a, b map[string]any
	for from, to := range map[string]*map[string]any{first: &a, second: &b} {
		raw, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(raw, to))
	}
	require.Contains(t, a, part)
	a[part] = b[part]
	raw, err := json.Marshal(a)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, raw, 0o600))
}

// Two bundles of one signer, of which the second lends one part to the first.
func TestRefusesPartsOfAnotherBundle(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, local(t), identity)
	digest, raw := signedBy(t, local(t), identity)
	_, other := signedBy(t, local(t), identity)
	for _, c := range []struct{ outer, inner, what string }{
		{"verificationMaterial", "certificate", "log"},
		{"verificationMaterial", "tlogEntries", "log"},
		{"verificationMaterial", "timestampVerificationData", "timestamp"},
		{"messageSignature", "signature", "log"},
	} {
		t.Run(c.inner, func(t *testing.T) {
			t.Parallel()
			mine, lent := partOf(t, raw, c.outer, c.inner), partOf(t, other, c.outer, c.inner)
			require.NotEqual(t, string(mine), string(lent))
			_, err := v.Verify(digest, bytes.Replace(raw, mine, lent, 1))
			requireRefusal(t, err, c.what, "")
		})
	}
}

func partOf(t *testing.T, raw []byte, outer, inner string) json.RawMessage {
	t.Helper()
	var fields, part map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(raw, &fields))
	require.NoError(t, json.Unmarshal(fields[outer], &part))
	require.Contains(t, part, inner)
	return part[inner]
}

// Every authority of a trusted root stands for a time; a signature of another time is not its word.
func TestRefusesAnotherTime(t *testing.T) {
	t.Parallel()
	digest, raw := signedBy(t, local(t), identity)
	for part, what := range map[string]string{"timestampAuthorities": "timestamp",
		"certificateAuthorities": "certificate"} {
		for name, validFor := range map[string]map[string]string{
			"ended before":     {"start": "2020-01-01T00:00:00Z", "end": "2021-01-01T00:00:00Z"},
			"began afterwards": {"start": "2120-01-01T00:00:00Z"},
		} {
			t.Run(part+" "+name, func(t *testing.T) {
				t.Parallel()
				var trusted map[string]any
				data, err := os.ReadFile(local(t).TrustedRootPath)
				require.NoError(t, err)
				require.NoError(t, json.Unmarshal(data, &trusted))
				for _, authority := range trusted[part].([]any) {
					authority.(map[string]any)["validFor"] = validFor
				}
				data, err = json.Marshal(trusted)
				require.NoError(t, err)
				path := t.TempDir() + "/root.json"
				require.NoError(t, os.WriteFile(path, data, 0o600))
				v, err := signature.NewVerifier(trust(t, path), identity)
				require.NoError(t, err)
				_, err = v.Verify(digest, raw)
				requireRefusal(t, err, what, "")
			})
		}
	}
}

func TestRefusesAnotherFile(t *testing.T) {
	t.Parallel()
	digest, raw := signedBy(t, local(t), identity)
	content := []byte(t.Name())
	require.Equal(t, sha256.Sum256(content), digest)
	v := newVerifier(t, local(t), identity)
	for i := range content {
		changed := bytes.Clone(content)
		changed[i] ^= 1
		_, err := v.Verify(sha256.Sum256(changed), raw)
		requireRefusal(t, err, "digest", "sha256:")
	}
}

// No byte changes the meaning of a bundle, and none changes unseen.
func TestSeesEveryChangedByte(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, local(t), identity)
	for name, config := range map[string]string{"v1": local(t).SigningConfigPath,
		"v2": local(t).SigningConfigRekorV2Path} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			digest, raw := signedWith(t, newSigner(t, config, tokenOf(local(t), identity)))
			accepted := 0
			for i := 0; i < len(raw); i += 5 {
				changed := bytes.Clone(raw)
				changed[i] ^= 1 << (i / 5 % 7)
				got, err := v.Verify(digest, changed)
				if err == nil { // the name of a field that is not needed, or base64 spelled otherwise
					require.NotEmpty(t, got.Form, "byte %d changed unseen: %s", i, raw[max(0, i-30):i+1])
					accepted++
					continue
				}
				require.Equal(t, fault.Verification, fault.CodeOf(err), "byte %d: %s", i, raw[max(0, i-30):i+1])
			}
			require.Less(t, accepted, len(raw)/5/10, "few bytes carry no meaning")
		})
	}
}

// The envelope of a timestamp is not under its signature: each of its bytes is changed here in several ways.
func TestRefusesEveryChangedByteOfATimestamp(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, local(t), identity)
	digest, raw := signedBy(t, local(t), identity)
	const label = `"signedTimestamp":"`
	from := bytes.Index(raw, []byte(label)) + len(label)
	old := raw[from : from+bytes.IndexByte(raw[from:], '"')]
	der, err := base64.StdEncoding.DecodeString(string(old))
	require.NoError(t, err)
	for i := range der {
		for _, bits := range []byte{1, 0x22, 0xff} {
			changed := bytes.Clone(der)
			changed[i] ^= bits
			_, err := v.Verify(digest, bytes.Replace(raw, old, []byte(base64.StdEncoding.EncodeToString(changed)), 1))
			require.Equal(t, fault.Verification, fault.CodeOf(err), "byte %d of the timestamp ^ %#x", i, bits)
		}
	}
}

func TestRefusesWhatIsNoBundle(t *testing.T) {
	t.Parallel()
	digest, raw := signedBy(t, local(t), identity)
	v := newVerifier(t, local(t), identity)
	edit := func(old, replacement string) []byte {
		changed := bytes.Replace(raw, []byte(old), []byte(replacement), 1)
		require.NotEqual(t, raw, changed)
		return changed
	}
	for name, c := range map[string]struct {
		raw  []byte
		says string
	}{
		"empty":         {nil, "unexpected token"},
		"null":          {[]byte("null\n"), "unexpected token"},
		"empty object":  {[]byte("{}\n"), "it signs no file"},
		"truncated":     {raw[:len(raw)/2], "unexpected"},
		"trailing data": {append(bytes.Clone(raw), "{}\n"...), "unexpected token"},
		"huge": {append(bytes.Clone(raw), bytes.Repeat([]byte(" "), signature.MaxBundleSize)...),
			"more than 65536 bytes"},
		"a later version":   {edit("bundle.v0.3+json", "bundle.v0.4+json"), "not yet supported"},
		"no version":        {edit("bundle.v0.3+json", "bundle+json"), "media type"},
		"duplicate field":   {edit(`{"mediaType"`, `{"mediaType":"x","mediaType"`), "duplicate"},
		"no message":        {edit(`"messageSignature"`, `"messageSignaturf"`), "it signs no file"},
		"no certificate":    {edit(`"certificate"`, `"certificatf"`), "it holds no certificate"},
		"no log entry":      {edit(`"tlogEntries"`, `"tlogEntriet"`), "it holds no log entry"},
		"another algorithm": {edit("SHA2_256", "SHA2_384"), "not a SHA-256"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := v.Verify(digest, c.raw)
			requireRefusal(t, err, "bundle", c.says)
		})
	}
}

// The same signature in other JSON proves the same, and is said to be in another form.
func TestTakesABundleInAnyForm(t *testing.T) {
	t.Parallel()
	digest, raw := signedBy(t, local(t), identity)
	var indented bytes.Buffer
	require.NoError(t, json.Indent(&indented, raw, "", "  "))
	v := newVerifier(t, local(t), identity)
	want, err := v.Verify(digest, raw)
	require.NoError(t, err)
	require.Empty(t, want.Form)
	edit := func(old, replacement string) []byte {
		changed := bytes.Replace(raw, []byte(old), []byte(replacement), 1)
		require.NotEqual(t, raw, changed)
		return changed
	}
	var fields map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(raw, &fields))
	reordered := fmt.Sprintf(`{"verificationMaterial":%s,"mediaType":%s,"messageSignature":%s}`,
		fields["verificationMaterial"], fields["mediaType"], fields["messageSignature"])
	for name, other := range map[string][]byte{
		"indented": indented.Bytes(), "without newline": raw[:len(raw)-1], "in another order": []byte(reordered),
		"with a field of tomorrow": edit(`{"mediaType"`, `{"extra":{"a":1},"mediaType"`),
		"escaped":                  edit(`"mediaType"`, `"mediaTyp\u0065"`),
		"of the older spelling":    edit("bundle.v0.3+json", "bundle+json;version=0.3"),
		"of an older version":      edit("bundle.v0.3+json", "bundle+json;version=0.2"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := v.Verify(digest, other)
			require.NoError(t, err)
			require.NotEmpty(t, got.Form)
			got.Form = ""
			require.Equal(t, want, got)
		})
	}
}

func TestRefusesAnIncompleteIdentity(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*signature.Identity){
		"repository":       func(i *signature.Identity) { i.Repository = "" },
		"repository shape": func(i *signature.Identity) { i.Repository = "a/b/c" },
		"workflow":         func(i *signature.Identity) { i.Workflow = "" },
		"workflow path":    func(i *signature.Identity) { i.Workflow = "../x.yaml" },
		"tag":              func(i *signature.Identity) { i.Tag = release.Tag{} },
		"short commit":     func(i *signature.Identity) { i.Commit = commit[:7] },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id := identity
			change(&id)
			_, err := signature.NewVerifier(trust(t, local(t).TrustedRootPath), id)
			require.Equal(t, fault.Usage, fault.CodeOf(err), "%v", err)
		})
	}
}

func FuzzVerify(f *testing.F) {
	digest, raw := signedBy(f, local(f), identity)
	v := newVerifier(f, local(f), identity)
	f.Add(raw)
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := v.Verify(digest, b); err == nil {
			require.Equal(t, bytes.Equal(raw, b), c.Form == "")
		} else if fault.CodeOf(err) != fault.Verification || errors.Unwrap(err) != nil {
			t.Fatalf("%v", err)
		}
	})
}

// The goal: 40 bundles well under 0.1 s.
func BenchmarkVerify40(b *testing.B) {
	s := newSigner(b, local(b).SigningConfigPath, tokenOf(local(b), identity))
	v := newVerifier(b, local(b), identity)
	digest, raw := signedWith(b, s)
	for b.Loop() {
		for range 40 {
			if _, err := v.Verify(digest, raw); err != nil {
				b.Fatal(err)
			}
		}
	}
}
