package chroot

// Missing is what is said when one program is not there.
func Missing(name, pkg string) error { return look([]program{{name, pkg}}) }
