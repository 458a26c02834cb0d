package tdx

import (
	"context"
	"crypto/x509"
	"testing"

	"github.com/google/go-tdx-guest/pcs"
	pb "github.com/google/go-tdx-guest/proto/tdx"
	"github.com/stretchr/testify/require"
)

func hexBytes(b ...byte) pcs.HexBytes { return pcs.HexBytes{Bytes: b} }

func levels(svn uint32) []pcs.TcbLevel {
	return []pcs.TcbLevel{{Tcb: pcs.Tcb{Isvsvn: svn}, TcbStatus: pcs.TcbComponentStatusUpToDate}}
}

// Only Intel can sign these documents, so they are judged as values.
func TestModuleLevelRefuses(t *testing.T) {
	t.Parallel()
	signer := Register{1}
	identity := func() pcs.TdxModuleIdentity {
		return pcs.TdxModuleIdentity{ID: "TDX_01", Mrsigner: pcs.HexBytes{Bytes: signer[:]}, TcbLevels: levels(5),
			Attributes:     pcs.HexBytes{Bytes: make([]byte, 8)},
			AttributesMask: pcs.HexBytes{Bytes: []byte{0xff, 0, 0, 0, 0, 0, 0, 0}}}
	}
	for name, tc := range map[string]struct {
		change func(*Verdict, *pcs.TdxModuleIdentity)
		want   string
	}{
		"none of its version": {func(_ *Verdict, m *pcs.TdxModuleIdentity) { m.ID = "TDX_03" },
			"no TCB level that this TDX module TDX_01 reaches"},
		"another signer": {func(v *Verdict, _ *pcs.TdxModuleIdentity) { v.MRSIGNERSEAM = Register{2} }, "not Intel's TDX_01"},
		"an attribute":   {func(v *Verdict, _ *pcs.TdxModuleIdentity) { v.SEAMAttributes[0] = 1 }, "not Intel's TDX_01"},
		"a short mask": {func(_ *Verdict, m *pcs.TdxModuleIdentity) { m.AttributesMask = hexBytes(0xff) },
			"not Intel's TDX_01"},
		"too old": {func(v *Verdict, _ *pcs.TdxModuleIdentity) { v.TEETCBSVN[0] = 4 },
			"no TCB level that this TDX module reaches"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, m := Verdict{Quote: Quote{TEETCBSVN: [16]byte{5, 1}, MRSIGNERSEAM: signer, SEAMAttributes: [8]byte{1: 9}}},
				identity()
			level, err := v.moduleLevel([]pcs.TdxModuleIdentity{m})
			require.NoError(t, err, "good before the change; the masked-out attribute does not matter")
			require.Equal(t, pcs.TcbComponentStatusUpToDate, level.TcbStatus)
			tc.change(&v, &m)
			_, err = v.moduleLevel([]pcs.TdxModuleIdentity{m})
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestEnclaveLevelRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*pb.EnclaveReport)
		want   string
	}{
		"another signer":  {func(r *pb.EnclaveReport) { r.MrSigner = []byte{2} }, "not Intel's"},
		"another product": {func(r *pb.EnclaveReport) { r.IsvProdId = 3 }, "not Intel's"},
		"misc select":     {func(r *pb.EnclaveReport) { r.MiscSelect = 1 }, "not Intel's"},
		"debug attribute": {func(r *pb.EnclaveReport) { r.Attributes = []byte{0x13} }, "not Intel's"},
		"too old":         {func(r *pb.EnclaveReport) { r.IsvSvn = 3 }, "no TCB level that this quoting enclave reaches"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id := &pcs.EnclaveIdentity{Mrsigner: hexBytes(1), IsvProdID: 2, TcbLevels: levels(4),
				Miscselect: hexBytes(0, 0, 0, 0), MiscselectMask: hexBytes(0xff, 0xff, 0xff, 0xff),
				Attributes: hexBytes(0x11), AttributesMask: hexBytes(0xfb)}
			report := &pb.EnclaveReport{MrSigner: []byte{1}, IsvProdId: 2, IsvSvn: 4, Attributes: []byte{0x15}}
			_, err := enclaveLevel(id, report)
			require.NoError(t, err, "good before the change")
			tc.change(report)
			_, err = enclaveLevel(id, report)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestPlatformLevelTakesTheFirstItReaches(t *testing.T) {
	t.Parallel()
	pck := &pcs.PckExtensions{TCB: pcs.PckCertTCB{PCESvn: 10, CPUSvnComponents: []byte{5, 5}}}
	v := &Verdict{Quote: Quote{TEETCBSVN: [16]byte{1, 1, 7}}}
	level := func(sgx, pce, module, tdxSVN byte, status pcs.TcbComponentStatus) pcs.TcbLevel {
		components := make([]pcs.TcbComponent, 16)
		components[0].Svn, components[2].Svn = module, tdxSVN
		return pcs.TcbLevel{TcbStatus: status, Tcb: pcs.Tcb{Pcesvn: uint16(pce),
			SgxTcbcomponents: []pcs.TcbComponent{{Svn: sgx}, {Svn: sgx}}, TdxTcbcomponents: components}}
	}
	const good, low = pcs.TcbComponentStatusUpToDate, pcs.TcbComponentStatusOutOfDate
	for name, tc := range map[string]struct {
		levels []pcs.TcbLevel
		want   pcs.TcbComponentStatus
	}{
		"exactly":              {[]pcs.TcbLevel{level(5, 10, 0, 7, good), level(0, 0, 0, 0, low)}, good},
		"module's SVN is not":  {[]pcs.TcbLevel{level(5, 10, 99, 7, good)}, good},
		"SGX component low":    {[]pcs.TcbLevel{level(6, 10, 0, 7, good), level(0, 0, 0, 0, low)}, low},
		"PCE SVN low":          {[]pcs.TcbLevel{level(5, 11, 0, 7, good), level(0, 0, 0, 0, low)}, low},
		"TDX component low":    {[]pcs.TcbLevel{level(5, 10, 0, 8, good), level(0, 0, 0, 0, low)}, low},
		"none":                 {[]pcs.TcbLevel{level(6, 10, 0, 7, good)}, ""},
		"components are short": {[]pcs.TcbLevel{{TcbStatus: good}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := v.platformLevel(tc.levels, pck)
			require.Equal(t, tc.want, got.TcbStatus)
			require.Equal(t, tc.want == "", err != nil)
		})
	}
}

type never struct{ t *testing.T }

func (n never) GetContext(context.Context, string) (map[string][]string, []byte, error) {
	n.t.Error("it was asked")
	return nil, nil, nil
}

// The QE identity's answer names the root CRL's address: only the pinned root's own is asked.
func TestRecorderRefusesForeignAddresses(t *testing.T) {
	t.Parallel()
	root := &x509.Certificate{CRLDistributionPoints: []string{"https://certificates.example/root.der"}}
	r := newRecorder(never{t}, Standard, root)
	for _, url := range []string{
		"http://169.254.169.254/", "https://certificates.example/root.der/..",
		"https://api.trustedservices.intel.com.example/",
		"http://api.trustedservices.intel.com/tdx/certification/v4/qe/identity", "",
	} {
		_, _, err := r.Get(url)
		require.ErrorContains(t, err, "no address of collateral")
	}
}
