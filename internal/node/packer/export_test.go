package packer

// At is the same Packer in another repository.
func (p *Packer) At(root string) *Packer {
	other := *p
	other.root = root
	return &other
}
