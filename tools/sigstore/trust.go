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

// publish writes what clients read. Both files replace their predecessors in one step.
func publish(dir string, a *authorities, u urls) (ready, error) {
	r := ready{
		TrustedRoot:          filepath.Join(dir, "trusted_root.json"),
		SigningConfig:        filepath.Join(dir, "signing_config.json"),
		SigningConfigRekorV1: filepath.Join(dir, "signing_config_rekor_v1.json"),
	}
	root, err := trustedRoot(a)
	if err != nil {
		return r, err
	}
	for path, m := range map[string]proto.Message{
		r.TrustedRoot: root, r.SigningConfig: signingConfig(a, u), r.SigningConfigRekorV1: signingConfigRekorV1(a, u)} {
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

// signingConfig is the shape that Sigstore is moving to: Rekor v2, whose entries carry no time, and a timestamp
// authority.
func signingConfig(a *authorities, u urls) *trustroot.SigningConfig {
	service := func(url string, version uint32) []*trustroot.Service {
		return []*trustroot.Service{{Url: url, MajorApiVersion: version, ValidFor: since(a), Operator: operator}}
	}
	one := &trustroot.ServiceConfiguration{Selector: trustroot.ServiceSelector_ANY}
	return &trustroot.SigningConfig{
		MediaType: "application/vnd.dev.sigstore.signingconfig.v0.2+json",
		CaUrls:    service(u.fulcio, 1), OidcUrls: service(u.issuer, 1),
		RekorTlogUrls: service(u.rekor, 2), RekorTlogConfig: one, TsaUrls: service(u.tsa, 1), TsaConfig: one,
	}
}

// signingConfigRekorV1 is the older shape: the time comes from the log's own signed entry timestamp alone.
func signingConfigRekorV1(a *authorities, u urls) *trustroot.SigningConfig {
	c := signingConfig(a, u)
	c.RekorTlogUrls[0].Url, c.RekorTlogUrls[0].MajorApiVersion = u.rekorV1, 1
	c.TsaUrls, c.TsaConfig = nil, nil
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
