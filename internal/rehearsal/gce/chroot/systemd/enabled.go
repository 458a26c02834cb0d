package systemd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// folder is where an administrator's units are, and the links that enable them.
const folder = "etc/systemd/system"

// Services are the services that are files of their own in /etc/systemd/system
// of the image and enabled there, in the order in which they are started. A
// service that cannot be understood is among them, with its Err.
func Services(image *os.Root) ([]*Service, error) {
	names, err := fs.Glob(image.FS(), folder+"/*.service")
	if err != nil {
		return nil, err
	}
	var out []*Service
	for _, file := range names {
		name := path.Base(file)
		info, err := image.Lstat(file)
		if err != nil {
			return nil, err
		}
		on, err := Enabled(image, name)
		if err != nil {
			return nil, err
		}
		if !info.Mode().IsRegular() || !on {
			continue
		}
		out = append(out, read(image, name))
	}
	return order(out)
}

// Masked says whether the image forbids the unit.
func Masked(image *os.Root, name string) bool {
	target, err := image.Readlink(folder + "/" + name)
	return err == nil && target == "/dev/null"
}

// Enabled says whether a target of the image pulls the unit in, and nobody masked it.
func Enabled(image *os.Root, name string) (bool, error) {
	if Masked(image, name) {
		return false, nil
	}
	for _, kind := range []string{"wants", "requires"} {
		links, err := fs.Glob(image.FS(), folder+"/*."+kind)
		if err != nil {
			return false, err
		}
		for _, dir := range links {
			_, err := image.Lstat(path.Join(dir, name))
			if !errors.Is(err, fs.ErrNotExist) {
				return err == nil, err
			}
		}
	}
	return false, nil
}

// read never fails: what is wrong with the unit is in it.
func read(image *os.Root, name string) *Service {
	text, err := image.ReadFile(folder + "/" + name)
	if err != nil {
		return &Service{Name: name, Err: err}
	}
	s, err := Parse(name, text)
	if err != nil {
		return &Service{Name: name, Err: err}
	}
	changes, err := fs.Glob(image.FS(), folder+"/"+name+".d/*.conf")
	switch {
	case err != nil:
		s.Err = err
	case len(changes) > 0:
		s.Err = fmt.Errorf("%s: drop-ins are not supported here", strings.Join(changes, ", "))
	case len(s.Commands) == 0:
		s.Err = errors.New("no ExecStart=")
	case len(s.Commands) > 1 && s.Type != "oneshot":
		s.Err = errors.New("more than one ExecStart= setting, which is only allowed for Type=oneshot")
	}
	return s
}

// order sorts services so that each comes after those that its After= and
// their Before= name, or that come before a target which it comes after; by
// name where nothing is said.
func order(services []*Service) ([]*Service, error) {
	slices.SortFunc(services, func(a, b *Service) int { return strings.Compare(a.Name, b.Name) })
	var out []*Service
	for len(services) > 0 {
		i := slices.IndexFunc(services, func(s *Service) bool { return first(s, services) })
		if i < 0 {
			return nil, fmt.Errorf("the units order each other in a circle: %s", names(services))
		}
		out = append(out, services[i])
		services = slices.Delete(services, i, i+1)
	}
	return out, nil
}

// first says that s waits for none of the others.
func first(s *Service, others []*Service) bool {
	return !slices.ContainsFunc(others, func(o *Service) bool {
		return o != s && (slices.Contains(s.After, o.Name) || slices.Contains(o.Before, s.Name) || meet(o.Before, s.After))
	})
}

// meet says that the lists share a target. All targets are taken to be reached.
func meet(before, after []string) bool {
	return slices.ContainsFunc(before, func(name string) bool {
		return strings.HasSuffix(name, ".target") && slices.Contains(after, name)
	})
}

func names(services []*Service) string {
	out := make([]string, 0, len(services))
	for _, s := range services {
		out = append(out, s.Name)
	}
	return strings.Join(out, ", ")
}
