package gateway

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"mp3converter/internal/job"
	"mp3converter/internal/page"
	"mp3converter/internal/web"
)

// maxQuery is in bytes: no file name is longer.
const maxQuery = 255

// filterOf returns which jobs ?state=, which may be there several times, ?profile= and ?q= ask for. An empty one asks for
// nothing, as a form sends it.
func filterOf(q url.Values) (f job.Filter, err error) {
	for _, name := range q["state"] {
		state := job.State(name)
		switch {
		case name == "" || slices.Contains(f.States, state):
		case slices.Contains(job.States, state) && (job.Job{State: state}).Visible():
			f.States = append(f.States, state)
		default:
			return f, web.Refuse(http.StatusBadRequest, "state must be queued, converting, converted, done or failed; it may be there several times")
		}
	}
	for _, name := range q["profile"] {
		profile, err := parseProfile(name)
		if err != nil || len(q["profile"]) > 1 {
			return f, web.Refuse(http.StatusBadRequest, "profile must be one of "+profileNames())
		}
		if name != "" {
			f.Profile = profile
		}
	}
	f.Name, err = nameOf(q)
	return f, err
}

// searchOf returns which jobs the page's ?q= and ?show= ask for.
func searchOf(q url.Values) (f job.Filter, err error) {
	states, ok := page.States(q.Get("show"))
	if !ok || len(q["show"]) > 1 {
		return f, web.Refuse(http.StatusBadRequest, "show must be open, ready or failed")
	}
	f.States = states
	f.Name, err = nameOf(q)
	return f, err
}

func nameOf(q url.Values) (string, error) {
	name := q.Get("q")
	if len(q["q"]) > 1 || len(name) > maxQuery || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return "", web.Refuse(http.StatusBadRequest, "q must be one part of a file name: at most 255 bytes of UTF-8, and no control characters")
	}
	return name, nil
}

func profileNames() string {
	var names []string
	for _, p := range job.Profiles {
		names = append(names, string(p))
	}
	return strings.Join(names, ", ")
}
