// Package tdx reads and judges Intel TDX evidence: quotes, registers, event
// logs and the profile's RTMR3.
//
// Its promise: what it calls verified was signed by a chain that ends in a
// root pinned by the caller, judged with collateral of that same root, and read
// without trusting a single length, status or register that was not checked.
package tdx
