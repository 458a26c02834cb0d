// Package guard holds the spec's four guards, which "prevent broken or
// inconsistent releases from being published".
//
// Its promise: a guard is a function of what it is given and answers with
// results that say what was expected and what was found. What it cannot read
// it does not clear, and SelfTest shows that each of them fires.
package guard
