package help

import (
	"fmt"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/shell"
)

// wrongExamples says why a target would not take its examples.
func wrongExamples(t Target) (out []string) {
	if len(t.Examples) == 0 {
		return []string{"it has no example"}
	}
	for _, example := range t.Examples {
		words, err := shell.Fields(example, nil)
		switch {
		case err != nil:
			out = append(out, "the example is no command: "+err.Error())
		case len(words) < 4 || strings.Join(words[:4], " ") != "go tool mage "+t.Name:
			out = append(out, "no example of it: "+example)
		default:
			out = append(out, wrongWords(t, words[4:])...)
		}
	}
	return out
}

// wrongWords reads words as Mage does: the arguments in their order, then flags in any.
func wrongWords(t Target, words []string) (out []string) {
	given := map[string]bool{}
	arguments := 0
	for arguments < len(words) && !strings.HasPrefix(words[arguments], "-") {
		arguments++
	}
	wanted := 0
	for _, p := range t.Takes {
		if p.Optional {
			continue
		}
		if p.Type == "int" && wanted < arguments {
			if _, err := strconv.Atoi(words[wanted]); err != nil {
				out = append(out, words[wanted]+" is no number")
			}
		}
		wanted++
	}
	if arguments != wanted {
		out = append(out, fmt.Sprintf("the example gives %d arguments, not %d", arguments, wanted))
	}
	for _, word := range words[arguments:] {
		name, value, _ := strings.Cut(word, "=")
		given[name] = true
		out = append(out, wrongFlag(t, name, value)...)
	}
	for _, a := range t.Arguments {
		if name, _, _ := strings.Cut(a.Form, "="); strings.HasPrefix(a.Means, "required") && !given[name] {
			out = append(out, "the example lacks "+name)
		}
	}
	return out
}

func wrongFlag(t Target, name, value string) []string {
	for _, p := range t.Takes {
		if !p.Optional || "-"+p.Name != name {
			continue
		}
		switch _, err := strconv.Atoi(value); {
		case p.Type == "int" && err != nil:
			return []string{name + " is no number in the example"}
		case p.Type == "bool" && value != "", p.Type != "bool" && value == "":
			return []string{name + " has no value in the example, or one that it does not take"}
		}
		return nil
	}
	return []string{"the example has a flag that is not taken: " + name}
}
