package wire

// SmallOrders are the keys that the tests try.
var SmallOrders = smallOrders

// RequestBinding and SealWith reproduce the public vectors.
var RequestBinding = requestBinding

func (s *Seals) SealWith(nonce, hexDigits []byte) []byte { return s.sealWith(nonce, hexDigits) }
