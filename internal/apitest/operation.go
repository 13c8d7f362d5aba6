package apitest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Methods are those that a path of a document may have.
var Methods = []string{
	http.MethodGet, http.MethodPut, http.MethodPost, http.MethodDelete, http.MethodOptions, http.MethodHead, http.MethodPatch, http.MethodTrace,
}

// Operations lists the document's operations, as "GET /jobs/{id}".
func (d *Document) Operations() []string {
	var all []string
	for path, item := range d.entries(d.top("paths")) {
		for _, method := range Methods {
			if d.get(item, strings.ToLower(method)).value != nil {
				all = append(all, method+" "+path)
			}
		}
	}
	return all
}

// operation is one, as far as an exchange is held against it.
type operation struct {
	path string // in the document
	item at
	at   // the operation's own
}

// find returns the operation that answers a request. Without one, the path alone may be there. A HEAD that a path does not
// have by itself is its GET.
func (d *Document) find(method, escapedPath string) (op operation) {
	best := -1
	key := strings.ToLower(method)
	if !slices.Contains(Methods, method) { // get is not GET
		key = ""
	}
	for path, item := range d.entries(d.top("paths")) {
		if literal, fits := match(path, escapedPath); fits && literal > best {
			best, op = literal, operation{path, item, d.get(item, key)}
		}
	}
	if method == http.MethodHead && op.value == nil {
		op.at = d.get(op.item, "get")
	}
	return op
}

// match reports whether a path is one of a template's, and how many of its segments are literally.
func match(template, escapedPath string) (literal int, ok bool) {
	want, got := strings.Split(template, "/"), strings.Split(escapedPath, "/")
	if len(want) != len(got) {
		return 0, false
	}
	for i, segment := range want {
		switch have, err := url.PathUnescape(got[i]); {
		case err != nil:
			return 0, false
		case segment == have:
			literal++
		case !strings.HasPrefix(segment, "{") || have == "":
			return 0, false
		}
	}
	return literal, true
}

// parameters are the operation's and its path's.
func (d *Document) parameters(op operation) []at {
	var all []at
	for _, list := range []at{d.get(op.item, "parameters"), d.get(op.at, "parameters")} {
		values, _ := list.value.([]any)
		for i, value := range values {
			all = append(all, d.resolve(at{append(slices.Clone(list.path), itoa(i)), value}))
		}
	}
	return all
}
