package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// store keeps private keys and certificates as PEM files that only their owner can read.
type store struct{ dir string }

func newP256() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// key returns the private key called name; the first run makes it with generate.
func (s store) key(name string, generate func() (crypto.Signer, error)) (crypto.Signer, error) {
	blocks, err := s.pem(name+".key.pem", func() ([]*pem.Block, error) {
		k, err := generate()
		if err != nil {
			return nil, err
		}
		der, err := x509.MarshalPKCS8PrivateKey(k)
		return []*pem.Block{{Type: "PRIVATE KEY", Bytes: der}}, err
	})
	if err != nil {
		return nil, err
	}
	k, err := x509.ParsePKCS8PrivateKey(blocks[0].Bytes)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", name, err)
	}
	signer, ok := k.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("key %s: a %T cannot sign", name, k)
	}
	return signer, nil
}

// certificates returns the chain called name, leaf first; the first run makes it with issue.
func (s store) certificates(name string, issue func() ([]*x509.Certificate, error)) ([]*x509.Certificate, error) {
	blocks, err := s.pem(name+".cert.pem", func() ([]*pem.Block, error) {
		certs, err := issue()
		out := make([]*pem.Block, 0, len(certs))
		for _, c := range certs {
			out = append(out, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
		}
		return out, err
	})
	if err != nil {
		return nil, err
	}
	chain := make([]*x509.Certificate, 0, len(blocks))
	for _, b := range blocks {
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %s: %w", name, err)
		}
		chain = append(chain, c)
	}
	return chain, nil
}

// path is where the file called name lies.
func (s store) path(name string) string { return filepath.Join(s.dir, name) }

func (s store) pem(name string, produce func() ([]*pem.Block, error)) ([]*pem.Block, error) {
	b, err := os.ReadFile(s.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		blocks, err := produce()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, p := range blocks {
			b = append(b, pem.EncodeToMemory(p)...)
		}
		return blocks, writeFile(s.path(name), b, 0o600)
	}
	if err != nil {
		return nil, err
	}
	var blocks []*pem.Block
	for p, rest := pem.Decode(b); p != nil; p, rest = pem.Decode(rest) {
		blocks = append(blocks, p)
	}
	if len(blocks) == 0 {
		return nil, fmt.Errorf("%s holds no PEM block", s.path(name))
	}
	return blocks, nil
}

// writeFile replaces path in one step: a reader sees the old bytes or the new ones.
func writeFile(path string, data []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// lock makes dir and takes it for this process. An instance whose parent was
// killed needs a moment to end, so lock waits for it, at most ten seconds.
func lock(ctx context.Context, dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
			return f, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("%s is in use by another instance: %w", dir, err), f.Close())
		case <-again.C:
		}
	}
}
