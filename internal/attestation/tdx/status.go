package tdx

import (
	"fmt"
	"slices"
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
