package ita

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// algorithms are the two that the service signs with: "Intel Trust Authority
// uses the PS384 algorithm … you have the option to request … RS256".
var algorithms = []jose.SignatureAlgorithm{jose.PS384, jose.RS256}

// claims are those of a version 2 token that are looked at.
type claims struct {
	jwt.Claims
	TDX *tdxClaims `json:"tdx"`
}

// tdxClaims: all values are hex in lower case, as the EAT profile writes them.
type tdxClaims struct {
	TCBStatus  string `json:"attester_tcb_status"`
	MRTD       string `json:"tdx_mrtd"`
	RTMR0      string `json:"tdx_rtmr0"`
	RTMR1      string `json:"tdx_rtmr1"`
	RTMR2      string `json:"tdx_rtmr2"`
	RTMR3      string `json:"tdx_rtmr3"`
	ReportData string `json:"tdx_report_data"`
	Debuggable *bool  `json:"tdx_is_debuggable"`
	Collateral struct {
		Number number `json:"tcbevaluationdatanumber"`
	} `json:"tdx_collateral"`
}

// verify returns the claims of a token that the service issued to us and that is valid now.
func (c *Client) verify(ctx context.Context, raw string) (*claims, error) {
	token, err := jwt.ParseSigned(raw, algorithms)
	if err != nil {
		return nil, failed("the token is malformed", err)
	}
	header := token.Headers[0] // ParseSigned accepts exactly one signature
	key, err := c.signingKey(ctx, header.KeyID, header.Algorithm)
	if err != nil {
		return nil, err
	}
	var said claims
	if err := token.Claims(key, &said); err != nil {
		return nil, failed("the token's signature or content", err)
	}
	return &said, c.admissible(&said)
}

// admissible checks what surrounds the appraisal.
func (c *Client) admissible(said *claims) error {
	now := c.now()
	switch err := said.ValidateWithLeeway(jwt.Expected{Time: now}, jwt.DefaultLeeway); {
	case said.Issuer != c.portal:
		return mismatch("the token's issuer", c.portal, fmt.Sprintf("%q", said.Issuer))
	// RFC 7519: "If the principal processing the claim does not identify itself with
	// a value in the "aud" claim when this claim is present, then the JWT MUST be
	// rejected." The service's appraisals name no audience, and we have no name there.
	case len(said.Audience) > 0:
		return mismatch("the token is for somebody else", "no audience", fmt.Sprintf("%q", []string(said.Audience)))
	case said.Expiry == nil || said.IssuedAt == nil:
		return mismatch("the token's times", "exp and iat", "not both")
	case err != nil:
		return &fault.Error{Code: fault.Verification, Message: "Intel Trust Authority: the token is not valid now", Err: err,
			Expected: "valid at " + now.UTC().Format(timeFormat),
			Got: "issued " + said.IssuedAt.Time().UTC().Format(timeFormat) + ", expires " +
				said.Expiry.Time().UTC().Format(timeFormat)}
	case said.TDX == nil:
		return failed("the token holds no appraisal of a TD", errors.New(`no claim "tdx"`))
	}
	return nil
}

const timeFormat = "2006-01-02T15:04:05Z"

// agree compares what the quote itself states and reports every difference.
func (t *tdxClaims) agree(ours *tdx.Verdict) error {
	debuggable := "not said"
	if t.Debuggable != nil {
		debuggable = fmt.Sprint(*t.Debuggable)
	}
	r := ours.Registers
	var expected, got []string
	for _, p := range [][3]string{
		{"tdx_report_data", hex.EncodeToString(ours.ReportData[:]), t.ReportData},
		{"tdx_mrtd", r.MRTD.String(), t.MRTD}, {"tdx_rtmr0", r.RTMR0.String(), t.RTMR0},
		{"tdx_rtmr1", r.RTMR1.String(), t.RTMR1},
		{"tdx_rtmr2", r.RTMR2.String(), t.RTMR2}, {"tdx_rtmr3", r.RTMR3.String(), t.RTMR3},
		{"tdx_is_debuggable", fmt.Sprint(ours.Debug()), debuggable},
	} {
		if p[1] != p[2] {
			expected, got = append(expected, p[0]+" "+p[1]), append(got, fmt.Sprintf("%s %.130s", p[0], p[2]))
		}
	}
	if len(got) == 0 {
		return nil
	}
	return mismatch("the appraisal is not our verdict of the quote", strings.Join(expected, ", "), strings.Join(got, ", "))
}

func mismatch(message, expected, got string) error {
	return fault.Mismatch("Intel Trust Authority: "+message, expected, got)
}
