package audit_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/checksum"
	"github.com/calimero-network/mero-tee/internal/artifact/provenance"
	"github.com/calimero-network/mero-tee/internal/artifact/sign"
	"github.com/calimero-network/mero-tee/internal/artifact/signature"
	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/kms/compose"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/node/evidence"
	nodeimage "github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/inprocess"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/storage"
	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
	"github.com/calimero-network/mero-tee/internal/rehearsal/sigstore"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/audit"
	"github.com/calimero-network/mero-tee/policies"
)

const (
	repository = "calimero-network/mero-tee"
	kmsImage   = "ghcr.io/calimero-network/mero-kms"
	commit     = "0123456789abcdef0123456789abcdef01234567"
	other      = "fedcba9876543210fedcba9876543210fedcba98"
)

var (
	stable    = release.Tag{Family: release.KMS, Version: release.Version{Major: 1, Minor: 2}}
	candidate = release.Tag{Family: release.KMS, Version: release.Version{Major: 1, Minor: 2, Candidate: 1}}
	node      = release.Tag{Family: release.Node, Version: release.Version{Major: 1, Minor: 1}}
	tdxRoot   = sha256.Sum256([]byte("a TDX root"))

	local   *sigstore.Instance // shared by all tests
	scratch string             // of the whole test binary
)

func TestMain(m *testing.M) { os.Exit(withSigstore(m.Run)) }

func withSigstore(run func() int) int {
	ctx, cancel := context.WithTimeout(context.Background(), 75*time.Minute)
	defer cancel()
	var err error
	if scratch, err = os.MkdirTemp("", "audit-"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(scratch)
	if local, err = startSigstore(ctx, filepath.Join(scratch, "sigstore")); err != nil {
		panic(err)
	}
	code := run()
	if err := local.Close(); err != nil {
		panic(err)
	}
	return code
}

func startSigstore(ctx context.Context, dir string) (*sigstore.Instance, error) {
	return sigstore.Start(ctx, sigstore.Options{Dir: dir, ToolsDir: "../../../tools",
		Log: func(s string) { fmt.Fprintln(os.Stderr, s) }})
}

func trust(t testing.TB, i *sigstore.Instance) root.TrustedMaterial {
	t.Helper()
	tm, err := signature.TrustedRoot(i.TrustedRootPath)
	require.NoError(t, err)
	return tm
}

// complete is the one good release of the binary, made and signed at its first use.
var complete = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(scratch, "complete")
	if err := stage(dir, stable, nil); err != nil {
		return "", err
	}
	return dir, seal(dir, identityOf(stable))
})

// released is a copy of it that a test may damage.
func released(t testing.TB) string {
	t.Helper()
	dir, err := complete()
	require.NoError(t, err)
	mine := filepath.Join(t.TempDir(), "release")
	require.NoError(t, os.CopyFS(mine, os.DirFS(dir)))
	return mine
}

// edit changes what is written under a name, before anything that refers to it is made.
type edit func(name, content string) string

// made is a release of the tag with an edit, signed by the right workflow. The
// bundles of what did not change are the complete release's.
func made(t testing.TB, tag release.Tag, change edit) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "release")
	if tag == stable {
		dir = released(t)
		require.NoError(t, os.Remove(filepath.Join(dir, release.ChecksumsAsset)))
	}
	require.NoError(t, stage(dir, tag, change))
	require.NoError(t, seal(dir, identityOf(tag)))
	return dir
}

func identityOf(tag release.Tag) signature.Identity {
	return signature.Identity{Repository: repository, Workflow: tag.Family.Workflow(), Tag: tag, Commit: commit}
}

// seal writes the checksums if there are none, and signs anew whatever has no bundle of this identity.
func seal(dir string, id signature.Identity) error {
	if _, err := os.Stat(filepath.Join(dir, release.ChecksumsAsset)); err != nil {
		if _, err := checksum.Write(dir, id.Tag.Family.Assets()); err != nil {
			return err
		}
	}
	tm, err := signature.TrustedRoot(local.TrustedRootPath)
	if err != nil {
		return err
	}
	v, err := signature.NewVerifier(tm, id)
	if err != nil {
		return err
	}
	_, err = sign.Files(context.Background(), signer(id), v, dir, id.Tag.Family.SignedAssets())
	return err
}

func signer(id signature.Identity) sign.SignerFunc {
	return func(ctx context.Context) (*sign.Signer, error) {
		sc, err := root.NewSigningConfigFromPath(local.SigningConfigPath)
		if err != nil {
			return nil, err
		}
		url := local.TokenURL(id.Repository, id.Workflow, id.Ref(), id.Commit)
		return sign.NewSigner(ctx, sign.Config{SigningConfig: sc,
			Token: sign.RequestToken(http.DefaultClient, url, local.Bearer(), sign.Audience)})
	}
}

// judge audits a folder as somebody who knows the tag and its commit.
func judge(t testing.TB, dir string, s audit.Subject) *audit.Report {
	t.Helper()
	return judgeSource(t, audit.Folder{Dir: dir}, s)
}

func judgeSource(t testing.TB, src audit.Source, s audit.Subject) *audit.Report {
	t.Helper()
	if s.Trust == nil {
		s.Trust = trust(t, local)
	}
	s.Repository, s.TDXRoot = repository, tdxRoot
	if s.Sources == nil {
		s.Sources = clone(commit)
	}
	if s.Tag.Family == release.Node {
		h, err := nodes()
		require.NoError(t, err)
		s.TDXRoot, s.GoogleRoot = h.pki.RootSHA256(), h.google.RootSHA256()
		if s.Verifier == nil && !s.Offline {
			s.Verifier = h.verifier
		}
	}
	report, err := audit.Release(t.Context(), src, t.TempDir(), s)
	require.NoError(t, err)
	return report
}

// failed lists the names of the failed checks, in order.
func failed(rs check.Results) []string {
	var out []string
	for _, r := range rs {
		if !r.OK() {
			out = append(out, r.Name)
		}
	}
	return out
}

// stage makes the unsigned assets of a release with the project's own packages.
func stage(dir string, tag release.Tag, change edit) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if change == nil {
		change = func(_, content string) string { return content }
	}
	s := &stager{dir: dir, tag: tag, change: change, images: map[release.Profile]measurement.Image{},
		hashes: map[release.Profile]digest.Digest{}}
	if tag.Family == release.Node {
		return s.nodeRelease()
	}
	for _, profile := range release.Profiles() {
		if err := s.profile(profile); err != nil {
			return err
		}
	}
	return s.rest()
}

type stager struct {
	dir    string
	tag    release.Tag
	change edit
	images map[release.Profile]measurement.Image
	hashes map[release.Profile]digest.Digest

	digests []digest.Digest // of a node release's records
}

func (s *stager) write(name string, content []byte) ([]byte, error) {
	content = []byte(s.change(name, string(content)))
	return content, os.WriteFile(filepath.Join(s.dir, name), content, 0o600)
}

// profile writes a policy and the compose file that pins it.
func (s *stager) profile(profile release.Profile) error {
	policy, err := policyOf(profile, s.tag.Version)
	if err != nil {
		return err
	}
	if policy, err = s.write(release.PolicyAsset(profile), policy); err != nil {
		return err
	}
	s.images[profile] = measurement.Image{Name: fmt.Sprintf("%s:%s-%s", kmsImage, s.tag.Version, profile),
		Digest: digest.Of([]byte(profile))}
	app, err := s.compose(profile, digest.Of(policy))
	if err != nil {
		return err
	}
	if app, err = s.write(release.ComposeAsset(profile), app); err != nil {
		return err
	}
	s.hashes[profile] = compose.Hash(app)
	return nil
}

func (s *stager) compose(profile release.Profile, policy digest.Digest) ([]byte, error) {
	source, err := clone(commit).Here(compose.Path)
	if err != nil {
		return nil, err
	}
	return compose.Release(context.Background(), source, compose.Values{
		Image: kmsImage + "@" + s.images[profile].Digest.String(), Version: s.tag.Version, Profile: profile,
		PolicyURL: "https://github.com/" + repository + "/releases/download/" + s.tag.String() + "/" +
			release.PolicyAsset(profile), Policy: policy, TDXRoot: tdxRoot})
}

// clone is this repository, as if the one commit that it has were that one.
type clone string

func (c clone) At(_ context.Context, commit, path string) ([]byte, error) {
	if string(c) != commit {
		return nil, fmt.Errorf("commit %s: %w", commit, fs.ErrNotExist)
	}
	return c.Here(path)
}

func (c clone) Here(path string) ([]byte, error) { return os.ReadFile("../../../" + path) }

// elsewhere is a clone whose work tree has another compose file.
type elsewhere struct{ clone }

func (e elsewhere) Here(path string) ([]byte, error) {
	data, err := e.clone.Here(path)
	return bytes.Replace(data, []byte("merod/storage"), []byte("merod/other"), 1), err
}

// rest writes what speaks of all profiles.
func (s *stager) rest() error {
	list, err := compose.FormatHashes(s.hashes)
	if err != nil {
		return err
	}
	file, err := os.ReadFile("../../../docker/mero-kms/dstack-platforms.json")
	if err != nil {
		return err
	}
	platforms, err := measurement.DecodePlatforms(file)
	if err != nil {
		return err
	}
	p, err := platforms.Chosen()
	if err != nil {
		return err
	}
	host := tcb.List{AllowedTCBStatus: []string{"UpToDate"}}
	published, err := measurement.PredictKMS(s.tag, commit, p, host, s.images, s.hashes)
	if err != nil {
		return err
	}
	encoded, err := published.Encode()
	if err != nil {
		return err
	}
	var images []digest.Digest
	for _, profile := range release.Profiles() {
		images = append(images, s.images[profile].Digest)
	}
	document, err := document(s.tag, images)
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{release.ComposeHashAsset: list, release.MeasurementsAsset: encoded,
		release.SBOMAsset: document} {
		if _, err := s.write(name, content); err != nil {
			return err
		}
	}
	return s.statement(nil)
}

// statement writes the provenance of what is there.
func (s *stager) statement(went []provenance.Resource) error {
	b := provenance.Build{Repository: repository, Tag: s.tag, Commit: commit, Subjects: map[string]digest.Digest{},
		Dependencies: went}
	if data, err := os.ReadFile(filepath.Join(s.dir, release.MeasurementsAsset)); err != nil {
		return err
	} else if published, err := measurement.Decode(data); err == nil { // a test may have broken it
		b.Subjects = published.Images()
	}
	for _, name := range provenance.Assets(s.tag.Family) {
		sum, _, err := digest.OfFile(filepath.Join(s.dir, name))
		if err != nil {
			return err
		}
		b.Subjects[name] = sum
	}
	for _, path := range provenance.Files(s.tag.Family) {
		data, err := clone(commit).Here(path)
		if err != nil {
			return err
		}
		b.Dependencies = append(b.Dependencies, provenance.File(path, digest.Of(data)))
	}
	data, err := provenance.New(b).Encode()
	if err == nil {
		_, err = s.write(release.ProvenanceAsset, data)
	}
	return err
}

// nodes is the simulated hardware under the node releases of the tests.
var nodes = sync.OnceValues(func() (*hardware, error) {
	pki, err := tdxsim.NewPKI([]byte(strings.Repeat("a", 32)))
	if err != nil {
		return nil, err
	}
	platform, err := pki.NewPlatform(0)
	if err != nil {
		return nil, err
	}
	n := network.New() // lives as long as the tests
	pcs := tdxsim.NewPCS(pki, time.Now, platform)
	for _, host := range tdxsim.Hosts() {
		if err := n.Handle(host, pcs); err != nil {
			return nil, err
		}
	}
	client := &http.Client{Transport: n.Transport()}
	cloud, err := inprocess.Open(filepath.Join(scratch, "cloud"),
		&inprocess.Host{Platform: platform, HTTP: client, TDXRoot: pki.RootSHA256()}, gce.Faults{})
	if err != nil {
		return nil, err
	}
	keeper := &tdx.Keeper{Source: tdx.NewCollateral(client)}
	verifier, err := tdx.NewVerifier(tdx.Config{Root: pki.RootSHA256(), Collateral: keeper})
	if err != nil {
		return nil, err
	}
	google, err := storage.NewAuthority()
	return &hardware{cloud, pki, platform, keeper, verifier, google}, err
})

type hardware struct {
	cloud    *inprocess.Cloud
	pki      *tdxsim.PKI
	platform *tdxsim.Platform
	keeper   *tdx.Keeper
	verifier *tdx.Verifier
	google   *storage.Authority // that endorses the firmware
}

// recovered is a verifier on the day on which Intel's service says otherwise of the platform.
func (h *hardware) recovered(t testing.TB, change func(*tdxsim.Faults)) *tdx.Verifier {
	t.Helper()
	pcs := tdxsim.NewPCS(h.pki, time.Now, h.platform)
	pcs.Change(change)
	n := network.New()
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	for _, host := range tdxsim.Hosts() {
		require.NoError(t, n.Handle(host, pcs))
	}
	v, err := tdx.NewVerifier(tdx.Config{Root: h.pki.RootSHA256(),
		Collateral: tdx.NewCollateral(&http.Client{Transport: n.Transport()})})
	require.NoError(t, err)
	return v
}

// nodeRelease writes records, evidence, measurements and SBOM of simulated images.
func (s *stager) nodeRelease() error {
	h, err := nodes()
	if err != nil {
		return err
	}
	p := &measurement.Published{SchemaVersion: measurement.SchemaVersion, Family: release.Node, Tag: s.tag, Commit: commit,
		Profiles: map[release.Profile]measurement.Profile{}}
	for _, profile := range release.Profiles() {
		if p.Profiles[profile], err = s.nodeProfile(h,
			inprocess.Image{Version: s.tag.Version, Profile: profile}); err != nil {
			return err
		}
	}
	data, err := p.Encode()
	if err != nil {
		return err
	}
	if _, err := s.write(release.MeasurementsAsset, data); err != nil {
		return err
	}
	document, err := document(s.tag, s.digests)
	if err != nil {
		return err
	}
	if _, err = s.write(release.SBOMAsset, document); err != nil {
		return err
	}
	var went []provenance.Resource
	for _, profile := range release.Profiles() {
		data, err := os.ReadFile(filepath.Join(s.dir, release.RecordAsset(profile)))
		if err != nil {
			return err
		}
		if r, err := nodeimage.Decode(data); err == nil { // a test may have broken it
			went = append(went, r.Ingredients()...)
		}
	}
	return s.statement(went)
}

func (s *stager) nodeProfile(h *hardware, image inprocess.Image) (measurement.Profile, error) {
	record, err := image.Record(commit).Encode()
	if err != nil {
		return measurement.Profile{}, err
	}
	if record, err = s.write(release.RecordAsset(image.Profile), record); err != nil {
		return measurement.Profile{}, err
	}
	s.digests = append(s.digests, digest.Of(record))
	e := &evidence.Evidence{SchemaVersion: evidence.SchemaVersion, Profile: image.Profile, Image: image.Name()}
	for i := range 3 {
		b, err := h.boot(image)
		if err != nil {
			return measurement.Profile{}, err
		}
		b.Reboot = i == 2
		e.Boots = append(e.Boots, b)
	}
	if e.Collateral, err = evidence.Keep(h.keeper.Stored()); err != nil {
		return measurement.Profile{}, err
	}
	seen, err := e.Observe(context.Background(), h.pki.RootSHA256())
	if err != nil {
		return measurement.Profile{}, err
	}
	e.Endorsement = &evidence.Endorsement{Asked: e.Boots[0].Time}
	e.Endorsement.Message, err = h.google.Endorse(storage.Statement{
		MRTDs: []tdx.Register{seen[0].Verdict.Registers.MRTD}})
	if err != nil {
		return measurement.Profile{}, err
	}
	data, err := e.Encode()
	if err != nil {
		return measurement.Profile{}, err
	}
	if _, err := s.write(release.EvidenceAsset(image.Profile), data); err != nil {
		return measurement.Profile{}, err
	}
	return e.Published(seen, measurement.Image{Name: image.Name(), Digest: digest.Of(record)}), nil
}

func (h *hardware) boot(image inprocess.Image) (evidence.Boot, error) {
	m := agent.Mission{Nonce: agent.NewNonce()}
	report, err := h.cloud.Report(context.Background(), image, m)
	if err != nil {
		return evidence.Boot{}, err
	}
	o, err := evidence.Observe(context.Background(), h.verifier, image.Profile, m.Nonce, report)
	if err != nil {
		return evidence.Boot{}, err
	}
	return o.Record(nil)
}

// purl is a package URL in a document.
func purl(url string) []any {
	return []any{map[string]any{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": url}}
}

// document is an SBOM of three images with one package and one program each.
func document(tag release.Tag, images []digest.Digest) ([]byte, error) {
	small, err := os.ReadFile("../../artifact/sbom/testdata/small.spdx.json")
	if err != nil {
		return nil, err
	}
	var doc map[string]any
	if err := json.Unmarshal(small, &doc); err != nil {
		return nil, err
	}
	agent := inprocess.Image{Version: tag.Version, Profile: release.Debug}.Record("").Binaries[0].SHA256.Hex()
	var packages, relations []any
	for i, digest := range images {
		root, inside := fmt.Sprintf("SPDXRef-image-%d", i), fmt.Sprintf("SPDXRef-package-%d", i)
		program := fmt.Sprintf("SPDXRef-Package-program-%d", i)
		packages = append(packages,
			map[string]any{"SPDXID": root, "name": string(tag.Family), "versionInfo": tag.Version.String(),
				"downloadLocation": "NOASSERTION", "supplier": "Organization: calimero-network",
				"checksums": []any{map[string]any{"algorithm": "SHA256",
					"checksumValue": strings.TrimPrefix(digest.String(), "sha256:")}}},
			map[string]any{"SPDXID": inside, "name": "simulated-base", "versionInfo": tag.Version.String(),
				"downloadLocation": "NOASSERTION", "supplier": "Organization: simulated", "externalRefs": purl("pkg:deb/" +
					"simulated/simulated-base@" + tag.Version.String() + "?arch=amd64&distro=simulated-1&upstream=simulated")},
			map[string]any{"SPDXID": program, "name": "mero-agent", "versionInfo": tag.Version.String(),
				"downloadLocation": "NOASSERTION", "supplier": "Organization: calimero-network",
				"checksums":    []any{map[string]any{"algorithm": "SHA256", "checksumValue": agent}},
				"externalRefs": purl("pkg:generic/mero-agent@" + tag.Version.String())})
		relations = append(relations,
			map[string]any{"spdxElementId": "SPDXRef-DOCUMENT", "relatedSpdxElement": root, "relationshipType": "DESCRIBES"},
			map[string]any{"spdxElementId": root, "relatedSpdxElement": inside, "relationshipType": "CONTAINS"},
			map[string]any{"spdxElementId": root, "relatedSpdxElement": program, "relationshipType": "CONTAINS"})
	}
	doc["packages"], doc["relationships"] = packages, relations
	delete(doc, "files")
	return json.Marshal(doc)
}

func register(seed byte) tdx.Register {
	return tdx.Register(bytes.Repeat([]byte{seed}, tdx.RegisterSize))
}

func registersOf(p release.Profile) tdx.Registers {
	return tdx.Registers{MRTD: register(0xa0), RTMR0: register(0xa1), RTMR1: register(0xb0), RTMR2: register(byte(len(p))),
		RTMR3: tdx.ProfileRTMR3(string(p))}
}

// policyOf is a policy in force with the tuple of one node release.
func policyOf(p release.Profile, v release.Version) ([]byte, error) {
	ev := policies.Evidence{Tag: node, Digest: "sha256:" + strings.Repeat("0", 63) + "1",
		Registers: map[release.Profile]tdx.Registers{p: registersOf(p)}}
	working, err := policies.Promote(&policies.Working{SchemaVersion: policies.SchemaVersion, Profile: p,
		AllowedTCBStatus: []string{"UpToDate"},
		Measurements:     []policies.Measurement{}, Revoked: []policies.Revocation{}}, ev)
	if err != nil {
		return nil, err
	}
	policy, err := policies.Generate(working, v, ev)
	if err != nil {
		return nil, err
	}
	return policy.Encode()
}
