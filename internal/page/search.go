package page

import (
	"net/url"

	"mp3converter/internal/job"
)

// Search is which of a user's jobs the list is to show; the zero value is all.
type Search struct {
	Name string // a part of the file's name
	Show string // what has become of them, as one of views has it
}

// view is the jobs that something has become of, as people choose it.
type view struct {
	Value, Text string
	States      []job.State // none are all
}

var views = []view{
	{"", "All", nil},
	{"open", "Under way", []job.State{job.Queued, job.Converting}},
	{"ready", "Converted", []job.State{job.Converted, job.Done}},
	{"failed", "Failed", []job.State{job.Failed}},
}

// States are those of the jobs that a view shows, none if it shows all; ok is false if there is no such view.
func States(show string) (states []job.State, ok bool) {
	for _, v := range views {
		if v.Value == show {
			return v.States, true
		}
	}
	return nil, false
}

// On reports whether it leaves anything out.
func (s Search) On() bool { return s != Search{} }

// Path is where its list is, from the newest on or below a job.
func (s Search) Path(before string) string {
	q := url.Values{}
	for name, value := range map[string]string{"q": s.Name, "show": s.Show, "before": before} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if len(q) == 0 {
		return "/"
	}
	return "/?" + q.Encode()
}
