package endorsement_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/calimero-network/mero-tee/internal/attestation/endorsement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/storage"
)

var (
	ours, other = tdx.Register{1}, tdx.Register{2}
	boot        = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
)

// RSA keys take long to make, so all tests share these authorities.
var google, stranger = sync.OnceValues(storage.NewAuthority), sync.OnceValues(storage.NewAuthority)

func authority(t testing.TB) *storage.Authority { t.Helper(); return opened(t, google) }

func another(t testing.TB) *storage.Authority { t.Helper(); return opened(t, stranger) }

func opened(t testing.TB, open func() (*storage.Authority, error)) *storage.Authority {
	t.Helper()
	a, err := open()
	require.NoError(t, err)
	return a
}

func endorsed(t testing.TB, a *storage.Authority, change func(*storage.Statement)) []byte {
	t.Helper()
	s := storage.Statement{MRTDs: []tdx.Register{other, ours}}
	if change != nil {
		change(&s)
	}
	data, err := a.Endorse(s)
	require.NoError(t, err)
	return data
}

func TestVerify(t *testing.T) {
	t.Parallel()
	a := authority(t)
	signed := time.Date(2026, 5, 21, 8, 0, 0, 0, time.UTC)
	later := protowire.AppendBytes(protowire.AppendTag(nil, 9, protowire.BytesType), []byte("of a later version"))
	for name, change := range map[string]func(*storage.Statement){
		"as Google signs it":             func(*storage.Statement) {},
		"with what a later version says": func(s *storage.Statement) { s.Additional = later },
		"of the second before the boot":  func(s *storage.Statement) { s.Signed = boot.Add(-time.Second) },
		"before its origin was told": func(s *storage.Statement) {
			s.From = signed.AddDate(-4, 0, 0)
			s.Signed, s.NoOrigin = signed.AddDate(-3, 0, 0), true
		},
		"with other certificates, too": func(s *storage.Statement) {
			s.Bundle = append(rootOf(t, another(t)), rootOf(t, a)...)
		},
		"the root not in PEM but in DER":  func(s *storage.Statement) { s.Bundle = der(rootOf(t, a)) },
		"a signer that ends after it":     func(s *storage.Statement) { s.To = boot.Add(time.Second) },
		"a signer that began just before": func(s *storage.Statement) { s.From = boot.Add(-time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := endorsed(t, a, func(s *storage.Statement) { s.Signed = signed; change(s) })
			got, err := endorsement.Verify(data, a.RootSHA256(), ours, boot)
			require.NoError(t, err)
			require.False(t, got.Signed.After(boot))
			require.Len(t, got.Firmware, 96)
			require.EqualValues(t, 2, got.SVN)
		})
	}
}

// rootOf is an authority's root, as its endorsements carry it.
func rootOf(t testing.TB, a *storage.Authority) []byte {
	t.Helper()
	return field(t, field(t, endorsed(t, a, nil), 1), 6)
}

func der(certificate []byte) []byte {
	block, _ := pem.Decode(certificate)
	return block.Bytes
}

// field is the first of a number in a message.
func field(t testing.TB, message []byte, number protowire.Number) []byte {
	t.Helper()
	for len(message) > 0 {
		n, kind, size := protowire.ConsumeTag(message)
		require.Positive(t, size)
		message = message[size:]
		size = protowire.ConsumeFieldValue(n, kind, message)
		require.Positive(t, size)
		if n == number {
			value, _ := protowire.ConsumeBytes(message)
			return value
		}
		message = message[size:]
	}
	require.Fail(t, "no such field")
	return nil
}

// What does not prove that Google endorsed this very firmware is refused, each kind in its own words.
func TestRefusedEndorsements(t *testing.T) {
	t.Parallel()
	a := authority(t)
	said := func(change func(*storage.Statement)) []byte { return endorsed(t, a, change) }
	flip := func(data []byte, at int) []byte {
		out := bytes.Clone(data)
		out[at] ^= 1
		return out
	}
	appended := func(n protowire.Number, to []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(bytes.Clone(to), n, protowire.BytesType), []byte("x"))
	}
	golden := func(change func(*storage.Statement)) []byte { return field(t, said(change), 1) }
	signedAs := func(statement []byte) []byte { // whatever is said, nobody looks at the signature before it is read
		return appended(2, protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), statement))
	}
	good := said(nil)
	short := protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType),
		protowire.AppendBytes(protowire.AppendTag(nil, 3, protowire.BytesType), ours[:47]))
	shortMRTD := protowire.AppendBytes(protowire.AppendTag(nil, 8, protowire.BytesType), short)
	of := func(others ...tdx.Register) func(*storage.Statement) {
		return func(s *storage.Statement) { s.MRTDs = others }
	}
	for name, tc := range map[string]struct {
		data []byte
		want string
	}{
		"of another MRTD":   {said(of(other)), "the endorsement is of another MRTD"},
		"of no TDX machine": {said(of()), "the endorsement is of another MRTD"},
		"expired then": {said(func(s *storage.Statement) { s.To = boot.Add(-time.Second) }),
			"certificate had expired by then"},
		"of a signer to come": {said(func(s *storage.Statement) { s.From = boot.Add(time.Second) }),
			"certificate was not valid yet"},
		"of the future": {said(func(s *storage.Statement) { s.Signed = boot.Add(time.Second) }),
			"the endorsement was signed later"},
		"under another root": {endorsed(t, another(t), nil),
			"the endorsement is under another root"},
		"without a root": {said(func(s *storage.Statement) { s.Bundle = []byte{} }),
			"the endorsement is under another root"},
		"its root forged": {endorsed(t, another(t), func(s *storage.Statement) { s.Bundle = rootOf(t, a) }),
			"not issued by its root"},
		"a signer for no such": {said(func(s *storage.Statement) { s.Usage = x509.KeyUsageKeyEncipherment }),
			"certificate is not for signatures"},
		"no word of its origin": {said(func(s *storage.Statement) { s.NoOrigin = true }),
			"does not say what the firmware was built of"},
		"its signature changed": {flip(good, len(good)-1),
			"signature is not of what it says"},
		"a byte of it changed": {flip(good, bytes.Index(good, ours[:])),
			"signature is not of what it says"},
		"its certificate changed": {flip(good, bytes.Index(good, field(t, field(t, good, 1), 4))+700),
			"the endorsement's certificate"},
		"too large": {append(bytes.Clone(good), make([]byte, endorsement.MaxSize)...),
			"the endorsement is too large"},
		"empty": {nil, "it lacks a statement or a signature"},
		"no protobuf": {[]byte("<html>not found</html>"),
			"the endorsement is malformed"},
		"cut short":          {good[:len(good)-1], "is cut short"},
		"trailing bytes":     {append(bytes.Clone(good), 0), "1 bytes that are no field"},
		"a field of no kind": {[]byte("7"), "field 6 is cut short, or of no known kind"},
		"a field of nobody's": {appended(3, good),
			"field 3 is not one of an endorsement"},
		"two signatures": {appended(2, good), "field 2: it comes twice"},
		"two lists of machines": {signedAs(appended(8, golden(nil))),
			"its statement: field 8: it comes twice"},
		"a short MRTD": {signedAs(append(golden(of()), shortMRTD...)),
			"field 8: it comes twice"},
		"an MRTD of 47 bytes": {signedAs(shortMRTD), "an MRTD of 47 bytes"},
		"no time":             {signedAs(appended(4, nil)), "its statement has no time"},
		"a number for bytes": {protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1),
			"field 1: not bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := endorsement.Verify(tc.data, a.RootSHA256(), ours, boot)
			require.Nil(t, got)
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, fault.Verification, fault.CodeOf(err))
		})
	}
}

// An endorsement does not become untrue when its signer's certificate ends.
func TestAsOf(t *testing.T) {
	t.Parallel()
	a := authority(t)
	data := endorsed(t, a, nil)
	_, err := endorsement.Verify(data, a.RootSHA256(), ours, boot)
	require.NoError(t, err)
	_, err = endorsement.Verify(data, a.RootSHA256(), ours, boot.AddDate(20, 0, 0))
	require.ErrorContains(t, err, "certificate had expired by then")
	_, err = endorsement.Verify(data, a.RootSHA256(), ours, boot.AddDate(30, 0, 0))
	require.ErrorContains(t, err, "root had expired by then")
	_, err = endorsement.Verify(data, a.RootSHA256(), ours, boot.AddDate(-10, 0, 0))
	require.ErrorContains(t, err, "root was not valid yet")
}

// Production believes Google's root and nobody who names himself like it.
func TestGooglesRootRefusesTheRehearsals(t *testing.T) {
	t.Parallel()
	google, err := tdx.ParseRoot(endorsement.GoogleRootSHA256)
	require.NoError(t, err)
	_, err = endorsement.Verify(endorsed(t, authority(t), nil), google, ours, boot)
	require.ErrorContains(t, err, "the endorsement is under another root")
	var told *fault.Error
	require.ErrorAs(t, err, &told)
	require.Contains(t, told.Expected, endorsement.GoogleRootSHA256)
	require.Contains(t, told.Hint, "https://pki.goog/cloud_integrity/")
}

func FuzzVerify(f *testing.F) {
	a := authority(f)
	good := endorsed(f, a, nil)
	for _, seed := range [][]byte{good, good[:100], nil, []byte("7"), []byte(strings.Repeat("\x0a\x00", 20))} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := endorsement.Verify(data, a.RootSHA256(), ours, boot)
		require.Equal(t, err != nil, got == nil)
		if err != nil {
			require.Equal(t, fault.Verification, fault.CodeOf(err))
			return
		}
		require.Equal(t, field(t, good, 1), field(t, data, 1), "nothing else is signed")
	})
}
