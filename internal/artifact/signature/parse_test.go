package signature

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	rekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
)

// Bundles that the rehearsal's Sigstore made on 2026-11-26.
const (
	inRekorV1 = "rekor-v1.sigstore.json"
	inRekorV2 = "rekor-v2.sigstore.json"
)

func recorded(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return raw
}

func entryOf(t testing.TB, name string) *rekor.TransparencyLogEntry {
	t.Helper()
	var b protobundle.Bundle
	require.NoError(t, protojson.Unmarshal(recorded(t, name), &b))
	return b.GetVerificationMaterial().GetTlogEntries()[0]
}

func stampOf(t testing.TB) []byte {
	t.Helper()
	var b protobundle.Bundle
	require.NoError(t, protojson.Unmarshal(recorded(t, inRekorV2), &b))
	return b.GetVerificationMaterial().GetTimestampVerificationData().GetRfc3161Timestamps()[0].GetSignedTimestamp()
}

func TestDecodesWhatWasRecorded(t *testing.T) {
	t.Parallel()
	for _, name := range []string{inRekorV1, inRekorV2} {
		_, form, err := decode(recorded(t, name))
		require.NoError(t, err, name)
		require.Empty(t, form, name)
	}
}

func TestCheckpointRefusals(t *testing.T) {
	t.Parallel()
	e := entryOf(t, inRekorV1)
	id, envelope := e.GetLogId().GetKeyId(), e.GetInclusionProof().GetCheckpoint().GetEnvelope()
	replaced := func(old, replacement string) string {
		require.Contains(t, envelope, old)
		return strings.Replace(envelope, old, replacement, 1)
	}
	_, err := readCheckpoint(envelope, id)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		envelope string
		id       []byte
		want     string
	}{
		"empty":                   {"", id, "malformed note"},
		"no signature":            {envelope[:strings.Index(envelope, "—")], id, "malformed note"},
		"no blank line":           {replaced("\n\n", "\n"), id, "malformed note"},
		"a control character":     {replaced(" - 1", " - \x01"), id, "malformed note"},
		"no origin":               {replaced("rekor-v1.rehearsal.test - 1\n", "\n"), id, "empty origin"},
		"a line too few":          {replaced("rekor-v1.rehearsal.test - 1\n1\n", "1\n"), id, "too few newlines"},
		"a negative size":         {replaced("\n1\n", "\n-1\n"), id, "size invalid"},
		"a size of another kind":  {replaced("\n1\n", "\n0x1\n"), id, "size invalid"},
		"a size with zeros":       {replaced("\n1\n", "\n01\n"), id, "canonical spelling"},
		"a root that is not text": {replaced("2k=\n", "2k?\n"), id, "invalid hash"},
		"a root with loose bits":  {replaced("2k=\n", "2l=\n"), id, "canonical spelling"},
		"another signer":          {replaced("— rekor-v1.", "— rekor-v2."), id, "not signed in the log's name"},
		"another key": {replaced("— rekor-v1.rehearsal.test P5Vz", "— rekor-v1.rehearsal.test P5Vy"), id,
			"not signed in the log's name"},
		"a loose signature": {replaced("tFs=\n", "tFt=\n"), id, "not signed in the log's name"},
		"another log":       {envelope, entryOf(t, inRekorV2).GetLogId().GetKeyId(), "not signed in the log's name"},
		"a short log ID":    {envelope, id[:3], "not signed in the log's name"},
	} {
		_, err := readCheckpoint(c.envelope, c.id)
		require.ErrorContains(t, err, c.want, name)
	}
}

func TestLogEntryRefusals(t *testing.T) {
	t.Parallel()
	type entry = rekor.TransparencyLogEntry
	for name, c := range map[string]struct {
		from   string
		change func(*entry)
		want   string
	}{
		"no JSON": {inRekorV2, func(e *entry) { e.CanonicalizedBody = []byte("{") }, "the entry's body"},
		"another label": {inRekorV2, func(e *entry) { e.KindVersion.Version = "0.0.1" },
			"labelled hashedrekord 0.0.1"},
		"another kind": {inRekorV2, func(e *entry) { relabel(t, e, "rekord", "0.0.2") }, "an entry of kind rekord"},
		"another version": {inRekorV2, func(e *entry) { relabel(t, e, "hashedrekord", "0.0.3") },
			"an entry of kind hashedrekord"},
		"another size":     {inRekorV2, func(e *entry) { e.InclusionProof.TreeSize++ }, "for another tree"},
		"another root":     {inRekorV2, func(e *entry) { e.InclusionProof.RootHash[0] ^= 1 }, "for another tree"},
		"a negative index": {inRekorV1, func(e *entry) { e.InclusionProof.LogIndex = -1 }, "a negative index"},
		"a negative size":  {inRekorV1, func(e *entry) { e.InclusionProof.TreeSize = -1 }, "a negative index or size"},
		"another leaf":     {inRekorV1, func(e *entry) { e.InclusionProof.LogIndex++ }, "not in the tree"},
		"a longer proof":   {inRekorV2, func(e *entry) { e.InclusionProof.Hashes = [][]byte{{1}} }, "not in the tree"},
		"two indexes":      {inRekorV2, func(e *entry) { e.LogIndex++ }, "one index"},
		"a time in v2":     {inRekorV2, func(e *entry) { e.IntegratedTime = 1 }, "no time"},
		"a promise in v2":  {inRekorV2, func(e *entry) { e.InclusionPromise = &rekor.InclusionPromise{} }, "no promise"},
	} {
		e := entryOf(t, c.from)
		require.NoError(t, consistent(e))
		c.change(e)
		require.ErrorContains(t, consistent(e), c.want, name)
	}
}

func relabel(t *testing.T, e *rekor.TransparencyLogEntry, kind, version string) {
	t.Helper()
	body, err := json.Marshal(map[string]string{"kind": kind, "apiVersion": version})
	require.NoError(t, err)
	e.CanonicalizedBody, e.KindVersion = body, &rekor.KindVersion{Kind: kind, Version: version}
}

func TestTimestampRefusals(t *testing.T) {
	t.Parallel()
	der := stampOf(t)
	require.NoError(t, strictStamp(der))
	status := bytes.Index(der, []byte{0x30, 0x03, 0x02, 0x01, 0x00}) // PKIStatusInfo: granted
	require.Positive(t, status)
	rejected := bytes.Clone(der)
	rejected[status+4] = 2
	for name, changed := range map[string][]byte{
		"empty":           {},
		"cut":             der[:len(der)-1],
		"data after it":   append(bytes.Clone(der), 0),
		"not granted":     rejected,
		"nothing in it":   {0x30, 0x00},
		"nested too deep": bytes.Repeat([]byte{0x30, 0x80}, maxDepth+2),
	} {
		require.Error(t, strictStamp(changed), name)
	}
}

func FuzzCheckpoint(f *testing.F) {
	for _, name := range []string{inRekorV1, inRekorV2} {
		e := entryOf(f, name)
		f.Add(e.GetInclusionProof().GetCheckpoint().GetEnvelope(), e.GetLogId().GetKeyId())
	}
	f.Fuzz(func(t *testing.T, envelope string, id []byte) {
		c, err := readCheckpoint(envelope, id)
		if err != nil {
			return
		}
		require.True(t, strings.HasPrefix(envelope, string(c.Marshal())))
		require.Contains(t, envelope, "\n— ")
	})
}

func FuzzTimestamp(f *testing.F) {
	f.Add(stampOf(f))
	f.Fuzz(func(t *testing.T, der []byte) {
		if strictStamp(der) == nil {
			require.Error(t, strictStamp(der[:len(der)-1]))
			require.Error(t, strictStamp(append(bytes.Clone(der), 0)))
		}
	})
}

// What is said to be in our form is what Encode writes, and nothing else is.
func FuzzBundle(f *testing.F) {
	f.Add(recorded(f, inRekorV1))
	f.Add(recorded(f, inRekorV2))
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, form, err := decode(raw)
		if err != nil {
			return
		}
		again, err := Encode(b.Bundle)
		require.NoError(t, err)
		if form == "" {
			require.Equal(t, raw, again)
		}
	})
}
