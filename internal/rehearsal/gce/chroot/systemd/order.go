package systemd

import (
	"fmt"
	"slices"
	"strings"
)

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
