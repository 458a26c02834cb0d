//go:build mage && deadcode

package main

// main stands for the one that Mage generates: for `mage lint`, which looks for dead code, it reaches every target.
func main() {
	println(len([]any{
		Bench, CI, Doctor, Fuzz, Lint, Sweep, Test,
		Catalog{}, Config{}, E2e{}, Guard{}, KMS{}, Measurement{}, Node{}, Policy{}, Rehearse{}, Release{}, Verify{},
	}))
}
