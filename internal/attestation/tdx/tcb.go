package tdx

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-tdx-guest/pcs"
	pb "github.com/google/go-tdx-guest/proto/tdx"
)

// Status is a TCB status as Intel's collateral spells it. The zero value means
// "not evaluated" (a TDX 1.0 module has no status of its own).
type Status string

// The statuses of Intel's TCB info and enclave identity.
const (
	UpToDate                          Status = "UpToDate"
	SWHardeningNeeded                 Status = "SWHardeningNeeded"
	ConfigurationNeeded               Status = "ConfigurationNeeded"
	ConfigurationAndSWHardeningNeeded Status = "ConfigurationAndSWHardeningNeeded"
	OutOfDate                         Status = "OutOfDate"
	OutOfDateConfigurationNeeded      Status = "OutOfDateConfigurationNeeded"
	Revoked                           Status = "Revoked"
)

// Statuses are all statuses, from best to worst.
func Statuses() []Status {
	return []Status{UpToDate, SWHardeningNeeded, ConfigurationNeeded, ConfigurationAndSWHardeningNeeded,
		OutOfDate, OutOfDateConfigurationNeeded, Revoked}
}

// ParseStatus accepts exactly Intel's spelling.
func ParseStatus(s string) (Status, error) {
	if !slices.Contains(Statuses(), Status(s)) {
		return "", fmt.Errorf("%q is not a TCB status", s)
	}
	return Status(s), nil
}

// UnmarshalText is ParseStatus.
func (s *Status) UnmarshalText(b []byte) error {
	parsed, err := ParseStatus(string(b))
	if err != nil {
		return err
	}
	*s = parsed
	return nil
}

// Compare is negative when s is better than other, positive when it is worse.
// The zero Status is better than any; an unknown one is worse than any.
func (s Status) Compare(other Status) int { return s.rank() - other.rank() }

func (s Status) rank() int {
	if s == "" {
		return -1
	}
	if i := slices.Index(Statuses(), s); i >= 0 {
		return i
	}
	return len(Statuses())
}

// Merge is Intel's convergence of a platform's status with that of its TDX
// module or quoting enclave: what is wrong with either is wrong with both.
func (s Status) Merge(other Status) Status {
	worse, better := s, other
	if s.Compare(other) < 0 {
		worse, better = other, s
	}
	switch {
	case worse == OutOfDate && (better == ConfigurationNeeded || better == ConfigurationAndSWHardeningNeeded):
		return OutOfDateConfigurationNeeded
	case worse == ConfigurationNeeded && better == SWHardeningNeeded:
		return ConfigurationAndSWHardeningNeeded
	}
	return worse
}

// judge fills in the TCB statuses of platform, TDX module and quoting enclave,
// all three: go-tdx-guest at 91f9a52 looks at the module alone once it is a
// TDX 1.5 one, and so accepts a platform that is out of date or revoked.
//
// All three are looked at before any error is returned, so that a platform
// without a level does not hide an enclave that is not Intel's. The error is an
// *Unrated when all is Intel's and only a level is missing.
func (v *Verdict) judge(s *statements, pck *pcs.PckExtensions, qe *pb.EnclaveReport) error {
	v.EvaluationNumber = min(s.tcbInfo.TcbEvaluationDataNumber, s.identity.TcbEvaluationDataNumber)
	platform, noPlatform := v.platformLevel(s.tcbInfo.TcbLevels, pck)
	module, noModule := v.moduleLevel(s.tcbInfo.TdxModuleIdentities)
	enclave, noEnclave := enclaveLevel(&s.identity, qe)
	if err := gravest(noPlatform, noModule, noEnclave); err != nil {
		var unrated *Unrated
		if errors.As(err, &unrated) {
			unrated.FMSPC, unrated.EvaluationNumber, unrated.Issued = v.FMSPC, v.EvaluationNumber, s.tcbInfo.IssueDate
		}
		return err
	}
	v.Platform, v.Module, v.QE = Status(platform.TcbStatus), Status(module.TcbStatus), Status(enclave.TcbStatus)
	v.TCB = v.Platform.Merge(v.Module).Merge(v.QE)
	v.Advisories = slices.Concat(platform.AdvisoryIDs, module.AdvisoryIDs, enclave.AdvisoryIDs)
	slices.Sort(v.Advisories)
	v.Advisories = slices.Compact(v.Advisories)
	return nil
}

// gravest is the first error that says "not Intel's", or else the first that says "no level".
func gravest(errs ...error) error {
	var unrated error
	for _, err := range errs {
		if err != nil && !errors.As(err, new(*Unrated)) {
			return err
		}
		unrated = cmp.Or(unrated, err)
	}
	return unrated
}

// platformLevel is the first level, best first, that the platform reaches.
func (v *Verdict) platformLevel(levels []pcs.TcbLevel, pck *pcs.PckExtensions) (pcs.TcbLevel, error) {
	from := 0
	if v.TEETCBSVN[1] > 0 { // the first two belong to the module identity since TDX 1.5
		from = 2
	}
	for _, l := range levels {
		if reaches(pck.TCB.CPUSvnComponents, l.Tcb.SgxTcbcomponents, 0) && pck.TCB.PCESvn >= l.Tcb.Pcesvn &&
			reaches(v.TEETCBSVN[:], l.Tcb.TdxTcbcomponents, from) {
			return l, nil
		}
	}
	return pcs.TcbLevel{}, &Unrated{Part: "platform"}
}

func reaches(have []byte, want []pcs.TcbComponent, from int) bool {
	if len(have) != len(want) {
		return false
	}
	for i := from; i < len(have); i++ {
		if have[i] < want[i].Svn {
			return false
		}
	}
	return true
}

// moduleLevel is the level of a TDX module of version 1.5 or later, whose
// signer and attributes must be those of its published identity. An earlier
// module is part of the platform's level.
func (v *Verdict) moduleLevel(identities []pcs.TdxModuleIdentity) (pcs.TcbLevel, error) {
	if v.TEETCBSVN[1] == 0 {
		return pcs.TcbLevel{}, nil
	}
	id := fmt.Sprintf("TDX_%02x", v.TEETCBSVN[1])
	for _, m := range identities {
		if !strings.EqualFold(m.ID, id) {
			continue
		}
		if !bytes.Equal(m.Mrsigner.Bytes, v.MRSIGNERSEAM[:]) ||
			!masked(v.SEAMAttributes[:], m.AttributesMask.Bytes, m.Attributes.Bytes) {
			return pcs.TcbLevel{}, fmt.Errorf("the TDX module is not Intel's %s", id)
		}
		return reached(m.TcbLevels, uint32(v.TEETCBSVN[0]), "TDX module")
	}
	return pcs.TcbLevel{}, &Unrated{Part: "TDX module " + id}
}

// enclaveLevel is the level of the quoting enclave, once it is the published
// one. go-tdx-guest compares the identity too, but not after it has objected
// to a TCB status.
func enclaveLevel(id *pcs.EnclaveIdentity, qe *pb.EnclaveReport) (pcs.TcbLevel, error) {
	misc := binary.LittleEndian.AppendUint32(nil, qe.GetMiscSelect())
	if !bytes.Equal(id.Mrsigner.Bytes, qe.GetMrSigner()) || uint32(id.IsvProdID) != qe.GetIsvProdId() ||
		!masked(misc, id.MiscselectMask.Bytes, id.Miscselect.Bytes) ||
		!masked(qe.GetAttributes(), id.AttributesMask.Bytes, id.Attributes.Bytes) {
		return pcs.TcbLevel{}, errors.New("the quoting enclave is not Intel's")
	}
	return reached(id.TcbLevels, qe.GetIsvSvn(), "quoting enclave")
}

func reached(levels []pcs.TcbLevel, svn uint32, what string) (pcs.TcbLevel, error) {
	for _, l := range levels {
		if svn >= l.Tcb.Isvsvn {
			return l, nil
		}
	}
	return pcs.TcbLevel{}, &Unrated{Part: what}
}

func masked(value, mask, want []byte) bool {
	if len(value) != len(mask) || len(value) != len(want) {
		return false
	}
	for i := range value {
		if value[i]&mask[i] != want[i] {
			return false
		}
	}
	return true
}
