package measuredboot

import "io"

// ReadTable is readTable, without what it found.
func ReadTable(disk io.ReaderAt, size int64) error {
	_, err := readTable(disk, size)
	return err
}

// ReadESP finds the image on a FAT32.
func ReadESP(volume *io.SectionReader) (*io.SectionReader, error) {
	f, err := openFAT(volume)
	if err != nil {
		return nil, err
	}
	return f.uki()
}

// ReadUKI is openUKI, without what it found.
func ReadUKI(file *io.SectionReader) error {
	_, err := openUKI(file)
	return err
}

// ReadTree is openTree, without what it found.
func ReadTree(tree *io.SectionReader, root int64) error {
	_, err := openTree(tree, root)
	return err
}

// ReadCommandLine is parseCommandLine.
func ReadCommandLine(line string) (map[string]string, error) { return parseCommandLine(line) }
