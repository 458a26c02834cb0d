package chroot

// Missing is what is said when one program is not there.
func Missing(name, pkg string) error { return look([]program{{name, pkg}}) }

// ShowsRegisters is what decides whether the registers of a TD are served.
var ShowsRegisters = showsRegisters
