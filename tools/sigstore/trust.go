package main

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"path/filepath"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	trustroot "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const operator = "mero-tee rehearsal"

// urls are the addresses of this run; the trusted root holds none of them, so that it stays the same.
type urls struct{ fulcio, ct, tsa, rekor, rekorV1, issuer, token string }

// services are the addresses by their names at the public instance.
func (u urls) services() map[string]string {
	named := map[string]string{"fulcio.sigstore.dev": u.fulcio, "rekor.sigstore.dev": u.rekorV1,
		"timestamp.sigstore.dev": u.tsa}
	if u.rekor != "" {
		named["log2025-1.rekor.sigstore.dev"] = u.rekor
	}
	return named
}

// publish writes what clients read. Each file replaces its predecessor in one step.
func publish(dir string, a *authorities, u urls) (ready, error) {
	r := ready{
		TrustedRoot:   filepath.Join(dir, "trusted_root.json"),
		SigningConfig: filepath.Join(dir, "signing_config.json"),
		Services:      u.services(),
	}
	root, err := trustedRoot(a)
	if err != nil {
		return r, err
	}
	files := map[string]proto.Message{r.TrustedRoot: root, r.SigningConfig: signingConfig(a, u)}
	if u.rekor != "" {
		r.SigningConfigRekorV2 = filepath.Join(dir, "signing_config_rekor_v2.json")
		files[r.SigningConfigRekorV2] = signingConfigRekorV2(a, u)
	}
	for path, m := range files {
		if err := writeProto(path, m); err != nil {
			return r, err
		}
	}
	return r, nil
}

func trustedRoot(a *authorities) (*trustroot.TrustedRoot, error) {
	from := since(a)
	rekorKey, err := x509.MarshalPKIXPublicKey(a.rekor.public)
	if err != nil {
		return nil, err
	}
	const ecdsa, ed25519 = protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256, protocommon.PublicKeyDetails_PKIX_ED25519
	return &trustroot.TrustedRoot{
		MediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
		Tlogs: []*trustroot.TransparencyLogInstance{
			logInstance(rekorOrigin, rekorKey, ed25519, a.rekor.id, from),
			logInstance(rekorV1Origin, a.rekorV1.der, ecdsa, a.rekorV1.id[:], from),
		},
		Ctlogs: []*trustroot.TransparencyLogInstance{logInstance("ctlog.rehearsal.test", a.ct.der, ecdsa,
			a.ct.id[:], from)},
		CertificateAuthorities: []*trustroot.CertificateAuthority{authority("fulcio.rehearsal.test", a.ca.chain, from)},
		TimestampAuthorities:   []*trustroot.CertificateAuthority{authority("timestamp.rehearsal.test", a.tsa.chain, from)},
	}, nil
}

// since is when the authorities began: the certificate says it, so it is the same in every run.
func since(a *authorities) *protocommon.TimeRange {
	return &protocommon.TimeRange{Start: timestamppb.New(a.ca.chain[0].NotBefore)}
}

func logInstance(host string, key []byte, details protocommon.PublicKeyDetails, id []byte,
	valid *protocommon.TimeRange) *trustroot.TransparencyLogInstance {
	return &trustroot.TransparencyLogInstance{
		BaseUrl: "https://" + host, HashAlgorithm: protocommon.HashAlgorithm_SHA2_256, LogId: &protocommon.LogId{KeyId: id},
		PublicKey: &protocommon.PublicKey{RawBytes: key, KeyDetails: details, ValidFor: valid},
	}
}

func authority(host string, chain []*x509.Certificate, valid *protocommon.TimeRange) *trustroot.CertificateAuthority {
	certs := make([]*protocommon.X509Certificate, 0, len(chain))
	for _, c := range chain {
		certs = append(certs, &protocommon.X509Certificate{RawBytes: c.Raw})
	}
	return &trustroot.CertificateAuthority{
		Uri: "https://" + host, CertChain: &protocommon.X509CertificateChain{Certificates: certs}, ValidFor: valid,
		Subject: &protocommon.DistinguishedName{Organization: operator, CommonName: chain[0].Subject.CommonName},
	}
}

// signingConfig has the shape of the public instance's (2026-08-21): Rekor v1 with a timestamp authority.
func signingConfig(a *authorities, u urls) *trustroot.SigningConfig {
	one := &trustroot.ServiceConfiguration{Selector: trustroot.ServiceSelector_ANY}
	return &trustroot.SigningConfig{
		MediaType: "application/vnd.dev.sigstore.signingconfig.v0.2+json",
		CaUrls:    service(a, u.fulcio, 1), OidcUrls: service(a, u.issuer, 1),
		RekorTlogUrls: service(a, u.rekorV1, 1), RekorTlogConfig: one,
		TsaUrls: service(a, u.tsa+timestampPath, 1), TsaConfig: one,
	}
}

func service(a *authorities, url string, version uint32) []*trustroot.Service {
	return []*trustroot.Service{{Url: url, MajorApiVersion: version, ValidFor: since(a), Operator: operator}}
}

// signingConfigRekorV2 is what Sigstore is moving to. Both logs are named, as
// in the public instance's: a client takes the highest version that it knows.
func signingConfigRekorV2(a *authorities, u urls) *trustroot.SigningConfig {
	c := signingConfig(a, u)
	c.RekorTlogUrls = append(service(a, u.rekor, 2), c.GetRekorTlogUrls()...)
	return c
}

// writeProto indents anew: protojson varies its white space from build to build on purpose.
func writeProto(path string, m proto.Message) error {
	compact, err := protojson.Marshal(m)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, compact, "", "  "); err != nil {
		return err
	}
	b.WriteByte('\n')
	return writeFile(path, b.Bytes(), 0o644)
}
