package audit

import (
	"maps"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/artifact/checksum"
	"github.com/calimero-network/mero-tee/internal/artifact/signature"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// checksums is the spec's "Checksum Consistency": each asset against checksums.sha256,
// and the list against the expected set.
func (a *auditor) checksums() {
	data, err := a.read(release.ChecksumsAsset)
	if err != nil {
		a.add(check.Of("checksums", err))
		return
	}
	entries, err := checksum.Parse(data)
	if err != nil {
		a.add(check.Of("checksums", err))
		return
	}
	claimed := map[string]digest.Digest{}
	for _, e := range entries {
		claimed[e.Name] = e.Digest
	}
	for _, name := range a.Tag.Family.Assets() {
		a.add(a.checksum(name, claimed))
		delete(claimed, name)
	}
	for _, name := range slices.Sorted(maps.Keys(claimed)) {
		a.add(check.Fail("checksum of "+name, fault.Verification, "listed, but not an asset of this family",
			"no such line", name))
	}
}

func (a *auditor) checksum(name string, claimed map[string]digest.Digest) check.Result {
	title := "checksum of " + name
	if err := a.absent(name); err != nil {
		return check.Of(title, err)
	}
	want, listed := claimed[name]
	got := a.digests[name]
	switch {
	case !listed:
		return check.Fail(title, fault.Verification, release.ChecksumsAsset+" does not list it", name, "no such line")
	case want != got:
		return check.Fail(title, fault.Verification, "the bytes are not those that were released", want.Hex(), got.Hex())
	}
	return check.Pass(title)
}

// signatures is the spec's "Signature Validity": every bundle, the workflow's
// identity, and one commit behind them all.
func (a *auditor) signatures() {
	v, err := signature.NewVerifier(a.Trust,
		signature.Identity{Repository: a.Repository, Workflow: a.Tag.Family.Workflow(), Tag: a.Tag, Commit: a.Commit})
	if err != nil {
		a.add(check.Of("signatures", err))
		return
	}
	commits := map[string]bool{}
	a.add(parallel(a.Tag.Family.SignedAssets(), func(name string) check.Result {
		certificate, err := a.signature(v, name)
		if err == nil {
			a.mu.Lock()
			commits[certificate.Commit], a.report.Signed[name] = true, certificate
			a.mu.Unlock()
		}
		return check.Of("signature of "+name, err)
	})...)
	a.forms()
	switch found := slices.Sorted(maps.Keys(commits)); {
	case len(found) == 1:
		a.report.Commit = found[0]
	case len(found) > 1:
		a.add(check.Fail("commit", fault.Verification, "assets were signed from different commits", "one commit",
			strings.Join(found, ", ")))
	}
}

// forms: a bundle in another form than ours proves as much; but our own releases
// write one form, so somebody else wrote it, which is said.
func (a *auditor) forms() {
	for _, name := range slices.Sorted(maps.Keys(a.report.Signed)) {
		if form := a.report.Signed[name].Form; form != "" {
			a.add(check.Pass("form of " + name + release.BundleSuffix).Noting("not ours, which proves nothing less: " + form))
		}
	}
}

func (a *auditor) signature(v *signature.Verifier, name string) (signature.Certificate, error) {
	if err := a.absent(name); err != nil {
		return signature.Certificate{}, err
	}
	bundle, err := a.read(name + release.BundleSuffix)
	if err != nil {
		return signature.Certificate{}, err
	}
	if signature.IsStatement(name) {
		statement, err := a.read(name)
		if err != nil {
			return signature.Certificate{}, err
		}
		return v.VerifyStatement(statement, bundle)
	}
	return v.Verify(a.digests[name], bundle)
}
