package sign

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/calimero-network/mero-tee/internal/artifact/signature"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/release"
)

// parallel signatures wait for the log together: a Rekor v2 server looks once a
// second for what it has integrated, and then answers all that wait (2026-11-23).
const parallel = 64

// SignerFunc makes the signer when the first signature is needed.
type SignerFunc func(ctx context.Context) (*Signer, error)

// Result says what Files did, in the order of the names given.
type Result struct{ Kept, Signed []string }

// Files gives each named file in dir its bundle, <name>.sigstore.json beside it: a
// statement in an envelope, of any other file the signature. A bundle on disk that v
// accepts for the file's current bytes, and that is in our form, is kept; any other
// is replaced. What is signed is verified before it is written. A file that is not
// there is a fault.Error with code MissingAsset.
func Files(ctx context.Context, signer SignerFunc, v *signature.Verifier, dir string, names []string) (Result, error) {
	first := sync.OnceValues(func() (*Signer, error) { return signer(ctx) })
	signed := make([]bool, len(names))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, name := range names {
		g.Go(func() (err error) {
			signed[i], err = signFile(gctx, first, v, filepath.Join(dir, name))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return Result{}, err
	}
	var r Result
	for i, name := range names {
		if signed[i] {
			r.Signed = append(r.Signed, name)
		} else {
			r.Kept = append(r.Kept, name)
		}
	}
	return r, nil
}

// signFile returns whether it had to sign.
func signFile(ctx context.Context, signer func() (*Signer, error), v *signature.Verifier, path string) (bool, error) {
	k, err := kindOf(v, path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, &fault.Error{Code: fault.MissingAsset, Message: "nothing to sign", Expected: filepath.Base(path),
			Got: "no such file", Err: err}
	}
	if err != nil {
		return false, err
	}
	if raw, err := file.Read(path+release.BundleSuffix, signature.MaxBundleSize); err == nil {
		if c, err := k.verify(raw); err == nil && c.Form == "" {
			return false, nil
		}
	}
	s, err := signer()
	if err != nil {
		return false, err
	}
	raw, err := k.sign(ctx, s)
	if err != nil {
		return false, err
	}
	if _, err := k.verify(raw); err != nil {
		return false, err
	}
	return true, file.Write(path+release.BundleSuffix, raw, 0o644)
}

// kind is how one file is signed and verified.
type kind struct {
	sign   func(context.Context, *Signer) ([]byte, error)
	verify func(bundle []byte) (signature.Certificate, error)
}

func kindOf(v *signature.Verifier, path string) (kind, error) {
	if signature.IsStatement(path) {
		statement, err := file.Read(path, signature.MaxBundleSize)
		return kind{func(ctx context.Context, s *Signer) ([]byte, error) { return s.Attest(ctx, statement) },
			func(bundle []byte) (signature.Certificate, error) { return v.VerifyStatement(statement, bundle) }}, err
	}
	sum, _, err := digest.OfFile(path)
	return kind{func(ctx context.Context, s *Signer) ([]byte, error) { return s.Sign(ctx, sum) },
		func(bundle []byte) (signature.Certificate, error) { return v.Verify(sum, bundle) }}, err
}
