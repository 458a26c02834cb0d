package image

import (
	"fmt"
	"slices"
)

// findings lists everything in which the image differs from what it must be.
func (i Inspection) findings(want Expected) []string {
	var out []string
	say := func(ok bool, format string, args ...any) {
		if !ok {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	names := make([]string, 0, len(i.Platforms))
	for _, p := range i.Platforms {
		names = append(names, p.Name)
	}
	for _, p := range Platforms() {
		say(slices.Contains(names, p.String()), "%s is missing", p)
	}
	for _, p := range i.Platforms {
		p.judge(want, func(ok bool, format string, args ...any) {
			say(ok, p.Name+": "+format, args...)
		})
	}
	return out
}

func (p Platform) judge(want Expected, say func(bool, string, ...any)) {
	labels := [][2]string{{VersionLabel, want.Version.String()}, {RevisionLabel, want.Revision},
		{SourceLabel, want.Source}, {ProfileLabel, string(want.Profile)}}
	for _, l := range labels {
		say(p.Config.Labels[l[0]] == l[1], "label %s is %q, not %q", l[0], p.Config.Labels[l[0]], l[1])
	}
	say(p.Config.Labels[CreatedLabel] != "", "label %s is missing", CreatedLabel)
	say(slices.Equal(p.Config.Entrypoint, []string{Entrypoint}) && len(p.Config.Cmd) == 0,
		"runs %q %q, not %q", p.Config.Entrypoint, p.Config.Cmd, Entrypoint)
	say(p.Config.User == User, "user is %q, not %s", p.Config.User, User)
	_, exposed := p.Config.ExposedPorts[Port]
	say(exposed && len(p.Config.ExposedPorts) == 1, "does not expose %s alone", Port)
	p.judgeFiles(want, say)
}

// judgeFiles: the binary, the profile's pin, and nothing else.
func (p Platform) judgeFiles(want Expected, say func(bool, string, ...any)) {
	say(len(p.Files) == 2, "holds %d files instead of 2", len(p.Files))
	binary := p.file(Entrypoint[1:])
	say(binary.Size > 0 && binary.Mode == 0o755, "%s is absent, empty or not of mode 0755", Entrypoint)
	pin := p.file(profileFile)
	say(pin.pin == string(want.Profile)+"\n", "/%s holds %q, not %q", profileFile, pin.pin, want.Profile)
}

func (p Platform) file(path string) File {
	for _, f := range p.Files {
		if f.Path == path {
			return f
		}
	}
	return File{}
}
