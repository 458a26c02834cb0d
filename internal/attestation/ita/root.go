package ita

// IntelRootSHA256 is the SHA-256 of the DER of "Intel Trust Authority Root CA"
// (serial 6595f65c04868983f3a597f018d6bb40594afb74, valid 2023-09-12 to
// 2049-12-30), the root of every token of https://portal.trustauthority.intel.com.
// Source: the x5c of that service's JWKS, byte for byte the same in two public
// repositories that keep a copy of it independently of each other, one of them
// confidential-containers' trustee-operator (docs/ita.md); read on 2026-11-23,
// when the live address was out of reach from here. The whole chain is in
// testdata/intel-certs.json. The service in the EU was not looked at.
const IntelRootSHA256 = "de77babfddca9f26881af28a71e37af836a11a125f2ac8a88940efa232c359ea"
