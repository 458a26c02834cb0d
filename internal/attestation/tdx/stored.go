package tdx

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-tdx-guest/pcs"
)

// Answer is one answer of Intel's service as it is kept beside quotes.
type Answer struct {
	URL   string
	Chain string // of its signer, in PEM: signer, root; empty for the root's revocation list
	Body  []byte
}

// Stored is collateral that was kept beside the quotes that it judged, so that
// they can be verified as of that time, without a network. It is a CollateralSource.
type Stored []Answer

// GetContext answers what was kept.
func (s Stored) GetContext(_ context.Context, address string) (map[string][]string, []byte, error) {
	i := slices.IndexFunc(s, func(a Answer) bool { return a.URL == address })
	if i < 0 {
		return nil, nil, fmt.Errorf("nothing was kept of %s", address)
	}
	if s[i].Chain == "" {
		return nil, s[i].Body, nil
	}
	return map[string][]string{chainHeader(address): {url.QueryEscape(s[i].Chain)}}, s[i].Body, nil
}

// chainHeader is the header in which the service gives the chain of what is at
// the address; empty where it gives none.
func chainHeader(address string) string {
	switch {
	case strings.HasPrefix(address, pcs.TdxBaseURL+"/tcb?"):
		return pcs.TcbInfoIssuerChainPhrase
	case strings.HasPrefix(address, pcs.QeIdentityURL()):
		return pcs.SgxQeIdentityIssuerChainPhrase
	case strings.HasPrefix(address, pcs.SgxBaseURL+"/pckcrl?"):
		return pcs.SgxPckCrlIssuerChainPhrase
	}
	return ""
}

// Digest is over the addresses and the digests of chains and bodies, in order.
func (s Stored) Digest() [32]byte {
	h := sha256.New()
	for _, a := range s {
		fmt.Fprintf(h, "%x  %x  %s\n", sha256.Sum256(a.Body), sha256.Sum256([]byte(a.Chain)), a.URL)
	}
	return [32]byte(h.Sum(nil))
}

// Check says in words of its own why collateral can judge nothing as of a time:
// it cannot be read, is vouched for by another root than the pinned one, was
// issued later, or had ended. That it is signed, and of a quote's platform, is
// for Verify to say.
func (s Stored) Check(root [32]byte, at time.Time) error {
	for i, a := range s {
		if i > 0 && s[i-1].URL >= a.URL {
			return fmt.Errorf("%w: %s is not kept once and in order", ErrCollateral, a.URL)
		}
		issued, next, err := a.validity()
		switch {
		case err != nil:
			return fmt.Errorf("%w: %s cannot be read: %w", ErrCollateral, a.URL, err)
		case issued.After(at.Add(clockSkew)):
			return fmt.Errorf("%w: %s was issued in the future, on %s; the quote was verified on %s", ErrCollateral, a.URL,
				stamp(issued), stamp(at))
		case at.After(next):
			return fmt.Errorf("%w: %s had expired by then, on %s; the quote was verified on %s", ErrCollateral, a.URL,
				stamp(next), stamp(at))
		}
		if err := a.underRoot(root); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrCollateral, a.URL, err)
		}
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// validity is from when to when the answer speaks, by its own words.
func (a Answer) validity() (issued, next time.Time, err error) {
	var said struct{ IssueDate, NextUpdate time.Time }
	switch {
	case strings.HasPrefix(a.URL, pcs.TdxBaseURL+"/tcb?"):
		err = readSigned(a.Body, "tcbInfo", &said)
	case strings.HasPrefix(a.URL, pcs.QeIdentityURL()):
		err = readSigned(a.Body, "enclaveIdentity", &said)
	default:
		crl, err := x509.ParseRevocationList(a.Body)
		if err != nil {
			return time.Time{}, time.Time{}, err
		}
		return crl.ThisUpdate, crl.NextUpdate, nil
	}
	return said.IssueDate, said.NextUpdate, err
}

// underRoot: the chain, where there must be one, ends in the pinned root.
func (a Answer) underRoot(root [32]byte) error {
	if chainHeader(a.URL) == "" {
		if a.Chain != "" {
			return errors.New("a chain was kept where the service gives none")
		}
		return nil
	}
	_, rest := pem.Decode([]byte(a.Chain))
	last, rest := pem.Decode(rest)
	if last == nil || len(rest) > 0 {
		return errors.New("its chain is not a signer and its root")
	}
	if got := sha256.Sum256(last.Bytes); got != root {
		return fmt.Errorf("it is vouched for by another root, %x, not the pinned %x", got, root)
	}
	return nil
}

// Keeper asks a source and keeps what it answered first: all quotes that are
// verified through it rest on one collateral. It is a CollateralSource, and safe
// for concurrent use.
type Keeper struct {
	Source CollateralSource

	mu   sync.Mutex
	kept Stored
}

// GetContext answers what was kept, or asks.
func (k *Keeper) GetContext(ctx context.Context, address string) (map[string][]string, []byte, error) {
	if s := k.Stored(); s.holds(address) {
		return s.GetContext(ctx, address)
	}
	header, body, err := k.Source.GetContext(ctx, address)
	if err != nil {
		return nil, nil, err
	}
	a := Answer{URL: address, Body: body}
	if values := header[chainHeader(address)]; len(values) == 1 {
		if a.Chain, err = url.QueryUnescape(values[0]); err != nil {
			return nil, nil, err
		}
	}
	k.keep(a)
	return k.Stored().GetContext(ctx, address)
}

func (s Stored) holds(address string) bool {
	return slices.ContainsFunc(s, func(a Answer) bool { return a.URL == address })
}

// keep: of two answers that came at once the first counts.
func (k *Keeper) keep(a Answer) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.kept.holds(a.URL) {
		return
	}
	k.kept = append(slices.Clone(k.kept), a)
	slices.SortFunc(k.kept, func(a, b Answer) int { return cmp.Compare(a.URL, b.URL) })
}

// Stored is what was kept so far, sorted by address.
func (k *Keeper) Stored() Stored {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.kept
}
