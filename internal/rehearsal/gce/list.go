package gce

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

const maxPage = 500

// list filters, orders and cuts a list as the request's parameters say; key
// gives a resource's name and its time of creation.
func list[T any](q request, all []T, key func(T) (name, created string)) (page []T, next string, err error) {
	query := q.URL.Query()
	f, err := parseFilter(query.Get("filter"))
	if err != nil {
		return nil, "", err
	}
	size, start, err := bounds(query.Get("maxResults"), query.Get("pageToken"))
	if err != nil {
		return nil, "", err
	}
	all = slices.DeleteFunc(all, func(item T) bool { return !f.admits(fields(item)) })
	if err := order(all, query.Get("orderBy"), key); err != nil {
		return nil, "", err
	}
	start = min(start, len(all))
	end := min(start+size, len(all))
	if end < len(all) {
		next = base64.URLEncoding.EncodeToString([]byte(strconv.Itoa(end)))
	}
	return all[start:end], next, nil
}

func bounds(maxResults, token string) (size, start int, err error) {
	size = maxPage
	if maxResults != "" {
		if size, err = strconv.Atoi(maxResults); err != nil || size < 0 || size > maxPage {
			return 0, 0, invalid("maxResults", maxResults, "Must be between 0 and 500, inclusive.")
		}
	}
	if size == 0 {
		size = maxPage
	}
	if token == "" {
		return size, 0, nil
	}
	text, err := base64.URLEncoding.DecodeString(token)
	if err == nil {
		start, err = strconv.Atoi(string(text))
	}
	if err != nil || start < 0 {
		return 0, 0, invalid("pageToken", token, "Invalid page token.")
	}
	return size, start, nil
}

func order[T any](all []T, by string, key func(T) (name, created string)) error {
	if by != "" && by != "name" && by != "creationTimestamp desc" {
		return invalid("orderBy", by, `Only "name" and "creationTimestamp desc" are supported.`)
	}
	slices.SortFunc(all, func(a, b T) int {
		nameA, createdA := key(a)
		nameB, createdB := key(b)
		if by == "creationTimestamp desc" && createdA != createdB {
			return strings.Compare(createdB, createdA)
		}
		return strings.Compare(nameA, nameB)
	})
	return nil
}

// fields is a resource as its JSON has it.
func fields(resource any) map[string]any {
	data, _ := json.Marshal(resource) // the API's types always marshal
	var out map[string]any
	_ = json.Unmarshal(data, &out) // and are objects
	return out
}

// noResults is the warning of a scope that has nothing.
func noResults(scope string) string {
	return "There are no results for scope '" + scope + "' on this page."
}

// errFilter is the vendor's answer to a filter that it does not understand.
func errFilter(filter string) error {
	return refuse(http.StatusBadRequest, "invalid", "Invalid list filter expression: %s", filter)
}
