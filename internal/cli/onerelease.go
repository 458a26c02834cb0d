package cli

import (
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// wanted is a release that a word of the command line asks for.
type wanted struct {
	target string
	family release.Family
	tag    string // as it is named there; empty: the configuration's
}

// aliases are the names of steps that the spec's scripts had, in lower case as Mage compares them.
var aliases = map[string]release.Family{"buildkms": release.KMS, "genpolicy": release.KMS, "publish": release.KMS,
	"audit": release.KMS, "buildnode": release.Node, "collectmeasurements": release.Node}

// familyOf is the family of whose release a target performs steps, and whether
// the target takes a tag; empty for every other target.
func familyOf(target string) (f release.Family, takesTag bool) {
	switch target {
	case "ci": // it ends with a release
		return release.KMS, false
	case "release:kms", "release:prerelease":
		return release.KMS, true
	case "release:node", "release:nodeprerelease":
		return release.Node, true
	case "kms:observe":
		return "", false
	}
	for _, f := range release.Families() {
		if strings.HasPrefix(target, f.Short()+":") {
			return f, false
		}
	}
	return aliases[target], false
}

// oneRelease refuses a command that is about two releases, before anything is
// done: Mage performs a dependency once in a command, whatever the tag is, so
// that the second release would lack the steps that the first one had.
func (w *workspace) oneRelease(args []string) error {
	all, err := releasesIn(args)
	if err != nil {
		return err
	}
	var named []wanted
	for _, one := range all {
		if one.tag != "" {
			named = append(named, one)
		}
	}
	for _, one := range named {
		if one.tag != named[0].tag {
			return twoReleases(named[0], one)
		}
	}
	if len(named) == 0 || len(all) == 1 {
		return nil // one by its name, or all of the configuration's
	}
	return w.agree(named[0], all)
}

// agree holds the release that is named against those that the configuration
// names for the other targets of the command.
func (w *workspace) agree(named wanted, all []wanted) error {
	tag, err := release.ParseTag(named.tag)
	if err != nil || tag.Family != named.family {
		return nil //nolint:nilerr // its target says so, in better words
	}
	for _, one := range all {
		if v := w.cfg.Version(tag.Family); one.family != tag.Family && v != (release.Version{}) && v != tag.Version {
			return twoReleases(named, wanted{one.target, one.family, "another with " + tag.Family.VersionVariable() + "=" +
				v.String()})
		}
		if one.tag != "" || one.family != tag.Family {
			continue
		}
		cfg := *w.cfg // a look, that changes nothing
		other, err := (&workspace{dist: w.dist, cfg: &cfg}).tag(one.family, "")
		if err == nil && other != tag {
			return twoReleases(named, wanted{one.target, one.family, other.String()})
		}
	}
	return nil
}

func twoReleases(a, b wanted) error {
	return &fault.Error{Code: fault.Usage, Message: "a command is about one release",
		Expected: a.tag + ", as " + a.target + " says, for every target", Got: b.tag + " of " + b.target,
		Hint: "run one command for each release, or name it by MERO_KMS_VERSION and MERO_TEE_VERSION alone"}
}

// releasesIn are the releases that a command's words ask for, in their order.
// Mage would find a tag that its target does not take only after that target was done.
func releasesIn(args []string) ([]wanted, error) {
	var out []wanted
	at := -1 // the target in out that flags belong to
	for i, word := range args {
		name, value, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
		switch {
		case !strings.HasPrefix(word, "-"):
			if at = -1; i > 0 && strings.EqualFold(args[i-1], "release:merge") {
				out = append(out, merged(word))
				continue
			}
			if f, _ := familyOf(strings.ToLower(word)); f != "" {
				out = append(out, wanted{target: word, family: f})
				at = len(out) - 1
			}
		case at >= 0 && strings.EqualFold(out[at].target, "kms:composeHash") && !strings.EqualFold(name, "tag"):
			out, at = out[:at], -1 // the hash of a file is of no release
		case at < 0 || !strings.EqualFold(name, "tag"):
		default:
			if _, takes := familyOf(strings.ToLower(out[at].target)); !takes {
				return nil, &fault.Error{Code: fault.Usage, Message: out[at].target + " takes no tag", Got: word,
					Hint: "name the release by " + out[at].family.VersionVariable()}
			}
			out[at].tag = value
		}
	}
	return out, nil
}

// merged is what release:merge asks for, which names its tag without a flag.
func merged(tag string) wanted {
	parsed, _ := release.ParseTag(tag) // release:merge judges it
	return wanted{"release:merge", parsed.Family, tag}
}
