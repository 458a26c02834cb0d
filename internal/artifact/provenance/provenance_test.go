package provenance_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/provenance"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

const commit = "0123456789abcdef0123456789abcdef01234567"

func of(text string) digest.Digest { return digest.Of([]byte(text)) }

func build() provenance.Build {
	return provenance.Build{Repository: "calimero-network/mero-tee",
		Tag: release.Tag{Family: release.KMS, Version: release.Version{Major: 1, Minor: 2}}, Commit: commit,
		Invocation: "https://github.com/calimero-network/mero-tee/actions/runs/7",
		Subjects: map[string]digest.Digest{"sbom.spdx.json": of("sbom"), "published-mrtds.json": of("mrtds"),
			"ghcr.io/calimero-network/mero-kms:1.2.0-debug": of("image")},
		Dependencies: []provenance.Resource{provenance.File("go.sum", of("go.sum")),
			{URI: "https://example.com/merod.tar.gz", Digest: provenance.SHA256(of("merod"))}}}
}

func encoded(t testing.TB, s *provenance.Statement) []byte {
	t.Helper()
	data, err := s.Encode()
	require.NoError(t, err)
	return data
}

func TestAStatementIsOneLine(t *testing.T) {
	t.Parallel()
	data := encoded(t, provenance.New(build()))
	require.Equal(t, 1, bytes.Count(data, []byte("\n")))
	begin := `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"ghcr.io/`
	require.True(t, bytes.HasPrefix(data, []byte(begin)))
	s, err := provenance.Decode(data)
	require.NoError(t, err)
	require.NoError(t, s.Judge(build()))
	require.Equal(t, "https://github.com/calimero-network/mero-tee/.github/workflows/release-kms-phala.yaml@"+
		"refs/tags/mero-kms-v1.2.0", s.Predicate.RunDetails.Builder.ID)
	b := build()
	b.Dependencies[0], b.Dependencies[1] = b.Dependencies[1], b.Dependencies[0]
	require.Equal(t, data, encoded(t, provenance.New(b)), "the same release, the same bytes")
}

func TestWhoseStatementIsRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*provenance.Build) // of what the statement says
		says   string
	}{
		"a subject missing": {func(b *provenance.Build) { delete(b.Subjects, "sbom.spdx.json") },
			"does not vouch for sbom.spdx.json"},
		"a subject added": {func(b *provenance.Build) { b.Subjects["evil"] = of("evil") },
			"vouches for what is not of this release"},
		"another digest": {func(b *provenance.Build) { b.Subjects["sbom.spdx.json"] = of("x") },
			"sbom.spdx.json is not what it vouches for"},
		"another commit":     {func(b *provenance.Build) { b.Commit = strings.Repeat("f", 40) }, "another commit"},
		"another repository": {func(b *provenance.Build) { b.Repository = "evil/mero-tee" }, "another builder"},
		"another tag":        {func(b *provenance.Build) { b.Tag.Version.Minor++ }, "another builder"},
		"another workflow":   {func(b *provenance.Build) { b.Tag.Family = release.Node }, "another builder"},
		"a dependency missed": {func(b *provenance.Build) { b.Dependencies = b.Dependencies[:1] },
			"a dependency of the build is not in it"},
		"a dependency moved": {func(b *provenance.Build) { b.Dependencies[0] = provenance.File("go.sum", of("x")) },
			"a dependency of the build is not in it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			said := build()
			tc.change(&said)
			s, err := provenance.Decode(encoded(t, provenance.New(said)))
			require.NoError(t, err)
			err = s.Judge(build())
			require.ErrorContains(t, err, tc.says)
			require.Equal(t, fault.Verification, fault.CodeOf(err))
		})
	}
	more := build()
	more.Dependencies = append(more.Dependencies, provenance.File("more", of("more")))
	require.NoError(t, provenance.New(more).Judge(build()), "more may be said of what went in")
	elsewhere := build()
	elsewhere.Invocation = ""
	require.NoError(t, provenance.New(elsewhere).Judge(build()))
}

// A digest within a name is no digest, and what is said twice is not said.
func TestWhatLooksLikeADigest(t *testing.T) {
	t.Parallel()
	dependency := func(change func(*provenance.Resource)) func(*provenance.Statement) {
		return func(s *provenance.Statement) { change(&s.Predicate.BuildDefinition.ResolvedDependencies[2]) }
	}
	for name, tc := range map[string]struct {
		change func(*provenance.Statement)
		says   string
	}{
		"in a subject's name": {func(s *provenance.Statement) {
			s.Subject[2] = provenance.Resource{Name: "sbom.spdx.json sha256:" + of("sbom").Hex()}
		}, "does not vouch for sbom.spdx.json"},
		"in a subject's URI": {func(s *provenance.Statement) {
			s.Subject[2] = provenance.Resource{Name: "sbom.spdx.json", URI: "sha256:" + of("sbom").Hex()}
		}, "sbom.spdx.json is not what it vouches for"},
		"in a dependency's name": {dependency(func(r *provenance.Resource) {
			*r = provenance.Resource{Name: "https://example.com/merod.tar.gz sha256:" + of("merod").Hex()}
		}), "a dependency of the build is not in it"},
		"a URI as a name": {dependency(func(r *provenance.Resource) { r.Name, r.URI = r.URI, "" }),
			"a dependency of the build is not in it"},
		"a dependency said otherwise, too": {func(s *provenance.Statement) {
			d := &s.Predicate.BuildDefinition.ResolvedDependencies
			*d = append(*d, provenance.File("go.sum", of("other")))
		}, "is in it twice, once otherwise"},
		"a commit in two spellings": {func(s *provenance.Statement) {
			s.Predicate.BuildDefinition.ResolvedDependencies[0].Digest["sha1"] = strings.Repeat("f", 40)
		}, "it says more of the source than its commit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := provenance.New(build())
			tc.change(s)
			s, err := provenance.Decode(encoded(t, s))
			require.NoError(t, err)
			err = s.Judge(build())
			require.ErrorContains(t, err, tc.says)
			require.Equal(t, fault.Verification, fault.CodeOf(err))
		})
	}
}

func TestStatementsOfAnotherForm(t *testing.T) {
	t.Parallel()
	good := string(encoded(t, provenance.New(build())))
	for name, tc := range map[string]struct{ data, says string }{
		"empty":            {"", "not a statement in our form"},
		"no JSON":          {"{", "not a statement in our form"},
		"cut off":          {good[:len(good)/2], "not a statement in our form"},
		"two lines":        {good + good, "not a statement in our form"},
		"indented":         {strings.Replace(good, `{"_type"`, "{\n\"_type\"", 1), "not written as our releases write it"},
		"an unknown field": {strings.Replace(good, `{"_type"`, `{"evil":1,"_type"`, 1), "unknown field"},
		"a key twice":      {strings.Replace(good, `{"_type"`, `{"_type":"x","_type"`, 1), "twice"},
		"another statement": {strings.Replace(good, provenance.StatementType, "https://in-toto.io/Statement/v9", 1),
			"not a statement that is known here"},
		"another predicate": {strings.Replace(good, provenance.PredicateType, "https://slsa.dev/provenance/v9", 1),
			"a predicate that is not known here"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := provenance.Decode([]byte(tc.data))
			require.ErrorContains(t, err, tc.says)
			require.Equal(t, fault.Verification, fault.CodeOf(err))
		})
	}
	s := provenance.New(build())
	s.Subject = append(s.Subject, s.Subject[0])
	require.ErrorContains(t, s.Judge(build()), "a subject is named twice")
	s = provenance.New(build())
	s.Predicate.BuildDefinition.ResolvedDependencies = nil
	require.ErrorContains(t, s.Judge(build()), "names nothing that the release was made of")
	s = provenance.New(build())
	s.Predicate.BuildDefinition.BuildType += "0"
	require.ErrorContains(t, s.Judge(build()), "another build type")
}

func FuzzDecode(f *testing.F) {
	f.Add(encoded(f, provenance.New(build())))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := provenance.Decode(data)
		if err != nil {
			return
		}
		require.Equal(t, data, encoded(t, s))
		_ = s.Judge(build())
	})
}
