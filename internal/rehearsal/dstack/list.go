package dstack

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strconv"
)

// fading is a CVM that was deleted and that the list still shows, so many times.
type fading struct {
	cvm   *cvm
	times int
}

// listedOn is how often a list shows a CVM after its deletion was answered.
const listedOn = 2

const (
	defaultPageSize = 10
	largestPage     = 100
)

// list is one page of the workspace's CVMs, in the order of their app ids.
func (p *Provider) list(w http.ResponseWriter, r *http.Request) {
	number, size := positive(r, "page", 1), positive(r, "page_size", defaultPageSize)
	if number == 0 || size == 0 || size > largestPage {
		failField(w, "page_size", "a page is counted from 1 and has at most %d CVMs", largestPage)
		return
	}
	items := p.listed()
	pages := (len(items) + size - 1) / size
	from := min((number-1)*size, len(items))
	reply(w, map[string]any{"items": items[from:min(from+size, len(items))], "total": len(items), "page": number,
		"page_size": size, "pages": pages})
}

// positive is a parameter of the query that counts; 0 when it does not.
func positive(r *http.Request, name string, otherwise int) int {
	text := r.URL.Query().Get(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return max(0, n)
}

// listed are the CVMs that there are, and those that are being deleted, one time less.
func (p *Provider) listed() []map[string]any {
	p.mu.Lock()
	all := slices.Collect(maps.Values(p.cvms))
	there := len(all)
	for _, f := range p.deleting {
		all = append(all, f.cvm)
		f.times--
	}
	p.deleting = slices.DeleteFunc(p.deleting, func(f *fading) bool { return f.times == 0 })
	p.mu.Unlock()
	slices.SortFunc(all[:there], func(a, b *cvm) int { return cmp.Compare(a.id, b.id) })
	items := make([]map[string]any, len(all))
	for i, c := range all {
		items[i] = c.describe()
		if i >= there {
			items[i]["status"] = "deleting"
		}
	}
	return items
}
