package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ready is the line that tells the parent where everything is.
type ready struct {
	TrustedRoot          string `json:"trusted_root"`
	SigningConfig        string `json:"signing_config"`
	SigningConfigRekorV1 string `json:"signing_config_rekor_v1"`
	TokenURL             string `json:"token_url"`    // add repository, workflow, ref and sha as a query
	TokenBearer          string `json:"token_bearer"` // new in every run
}

// instance is one running Sigstore.
type instance struct {
	ready ready
	web   *web
	rekor *rekor
	lock  *os.File
}

// authorities are the parties whose keys the trusted root lists.
type authorities struct {
	ca      *ca
	ct      *ctLog
	tsa     *tsa
	rekor   *rekorKey
	rekorV1 *rekorV1
	issuer  *issuer
}

func start(ctx context.Context, o options) (_ *instance, err error) {
	dir, err := filepath.Abs(o.dir)
	if err != nil {
		return nil, err
	}
	i := &instance{web: newWeb()}
	defer func() {
		if err != nil {
			i.close()
		}
	}()
	if i.lock, err = lock(ctx, dir); err != nil {
		return nil, err
	}
	a, err := load(store{dir: filepath.Join(dir, "keys")}, filepath.Join(dir, "rekor-v1"), o.issuer)
	if err != nil {
		return nil, err
	}
	if i.rekor, err = startRekor(ctx, o.rekor, dir, a.rekor); err != nil {
		return nil, err
	}
	urls, err := i.serve(a)
	if err != nil {
		return nil, err
	}
	i.ready, err = publish(dir, a, urls)
	i.ready.TokenURL, i.ready.TokenBearer = urls.token, a.issuer.bearer
	return i, err
}

// load reads every key and certificate, and makes those that are missing.
func load(s store, rekorV1Dir, issuerURL string) (*authorities, error) {
	bearer := make([]byte, 32)
	_, _ = rand.Read(bearer) // never fails: crypto/rand ends the program instead
	a := &authorities{}
	steps := []func() error{
		func() (err error) { a.ca, err = newCA(s); return err },
		func() (err error) { a.ct, err = newCTLog(s); return err },
		func() (err error) { a.tsa, err = newTSA(s); return err },
		func() (err error) { a.rekor, err = newRekorKey(s); return err },
		func() (err error) { a.rekorV1, err = newRekorV1(s, rekorV1Dir); return err },
		func() (err error) { a.issuer, err = newIssuer(s, issuerURL, hex.EncodeToString(bearer)); return err },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// serve opens one listener per party and returns their addresses.
func (i *instance) serve(a *authorities) (urls, error) {
	u := urls{rekor: i.rekor.url, issuer: a.issuer.url}
	var err error
	if u.ct, err = i.web.serve(a.ct); err != nil {
		return u, err
	}
	fulcio, err := newFulcio(a.ca, a.issuer, u.ct, a.ct.publicKeyPEM())
	if err != nil {
		return u, fmt.Errorf("fulcio: %w", err)
	}
	if u.fulcio, err = i.web.serve(fulcio); err != nil {
		return u, err
	}
	if u.tsa, err = i.web.serve(a.tsa); err != nil {
		return u, err
	}
	if u.rekorV1, err = i.web.serve(a.rekorV1); err != nil {
		return u, err
	}
	u.token, err = i.web.serve(a.issuer.runner())
	return u, err
}

// wait returns nil when ctx ends, or what went wrong before.
func (i *instance) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-i.web.failed:
		return err
	case <-i.rekor.done:
		return errors.Join(errors.New("rekor ended by itself"), i.rekor.err)
	}
}

func (i *instance) close() {
	i.web.close()
	if i.rekor != nil {
		i.rekor.stop()
	}
	if i.lock != nil {
		_ = i.lock.Close()
	}
}
