package measurement

import "fmt"

// Cause is why registers of a key service are not what they were.
type Cause struct {
	Registers []string // "RTMR3"; those that an operating system's image decides move together
	Event     string   // in words
}

// Causes are why a key service's registers moved from one release to another:
// its compose file, its operating system's image, or what that image was observed with.
func Causes(was, is Profile) []Cause {
	system, application := []string{"MRTD", "RTMR0", "RTMR1", "RTMR2"}, []string{"RTMR3"}
	var out []Cause
	add := func(registers []string, format string, args ...any) {
		out = append(out, Cause{registers, fmt.Sprintf(format, args...)})
	}
	switch {
	case was.Image.OSImageHash != is.Image.OSImageHash:
		add(system, "the OS image is %s, was %s", is.Image.OSImage, was.Image.OSImage)
		add(application, "event %s: %s, was %s", OSImageHashEvent, is.Image.OSImageHash, was.Image.OSImageHash)
	case was.Registers() != is.Registers():
		add(system, "the same OS image %s was observed with other registers", is.Image.OSImage)
	}
	if was.Image.ComposeHash != is.Image.ComposeHash {
		add(application, "event %s: %s, was %s", ComposeHashEvent, is.Image.ComposeHash, was.Image.ComposeHash)
	}
	return out
}
