// Package help says what the targets are for: all of them in groups, and of
// one what it takes, needs and leaves.
//
// Its promise: it says what the targets' own comments in magefiles/ say, in
// the order in which these stand there, and each target is in exactly one group.
package help

import (
	"go/token"
	"path/filepath"
	"slices"
	"strings"

	"github.com/magefile/mage/mage"
	"github.com/magefile/mage/parse"
)

// Target is what its comment says of a target.
type Target struct {
	Name          string // as people type it: "release:nodePrerelease"
	Does          string // the comment's first sentence without its first word: "releases the key service."
	More          string // what follows that sentence, in one line
	Arguments     []Argument
	Needs, Leaves string // one line each, "" where the comment has none
	See           string // a page of the repository, "" for none
	Examples      []string
	Aliases       []string // other names, in alphabetical order
	Takes         []parse.Arg
}

// Argument is one that a target takes.
type Argument struct {
	Form  string // "TAG", "-quick" or "-profile=P"
	Means string // in one line; that of a flag which must be there begins with "required"
}

// Manual is what the magefiles say.
type Manual struct {
	About   string // what all targets have in common
	Targets []Target
}

// Read reads the magefiles in the folder magefiles/ of dir. The error is Mage's.
func Read(goCmd, dir string) (*Manual, error) {
	dir = filepath.Join(dir, mage.MagefilesDirName)
	files, err := mage.Magefiles(dir, "", "", true)
	if err != nil {
		return nil, err
	}
	for i, f := range files {
		files[i] = filepath.Base(f)
	}
	info, err := parse.PrimaryPackage(goCmd, dir, files, true)
	if err != nil {
		return nil, err
	}
	at := positions(info)
	slices.SortStableFunc(info.Funcs, func(a, b *parse.Function) int {
		return int(at[a.TargetName()] - at[b.TargetName()])
	})
	m := &Manual{About: info.Description}
	for _, f := range info.Funcs {
		t := read(f.Name, f.Comment)
		t.Name, t.Takes = spelled(f.TargetName()), f.Args
		for alias, of := range info.Aliases {
			if of.TargetName() == f.TargetName() {
				t.Aliases = append(t.Aliases, alias)
			}
		}
		slices.Sort(t.Aliases)
		m.Targets = append(m.Targets, t)
	}
	return m, nil
}

// positions are where the targets stand: in one file, one that stands later has a larger one.
func positions(info *parse.PkgInfo) map[string]token.Pos {
	at := map[string]token.Pos{}
	for _, f := range info.DocPkg.Funcs {
		at[f.Name] = f.Decl.Pos()
	}
	for _, t := range info.DocPkg.Types {
		for _, f := range t.Methods {
			at[t.Name+":"+f.Name] = f.Decl.Pos()
		}
	}
	return at
}

// spelled is a target's name as Mage's list spells it: KMS:ComposeHash is kms:composeHash.
func spelled(name string) string {
	words := strings.Split(name, ":")
	for i, w := range words {
		n := strings.IndexFunc(w, func(r rune) bool { return r < 'A' || 'Z' < r })
		switch {
		case n < 0:
			n = len(w)
		case n > 1:
			n-- // the last capital begins a word of its own
		}
		words[i] = strings.ToLower(w[:n]) + w[n:]
	}
	return strings.Join(words, ":")
}

// Find is the target that people call name, in any case, by its alias too; nil when there is none.
func (m *Manual) Find(name string) *Target {
	for i, t := range m.Targets {
		if strings.EqualFold(t.Name, name) ||
			slices.ContainsFunc(t.Aliases, func(a string) bool { return strings.EqualFold(a, name) }) {
			return &m.Targets[i]
		}
	}
	return nil
}
