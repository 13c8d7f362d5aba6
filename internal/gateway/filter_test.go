package gateway_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"mp3converter/internal/job"
)

// list asks for a list of jobs, follows next to the end and returns the names.
func (r *rig) list(query url.Values) string {
	r.Helper()
	var names []string
	for {
		a := r.do(request{path: "/jobs?" + query.Encode()})
		var page struct {
			Jobs []struct {
				Name string `json:"file_name"`
			}
			Next *string
		}
		if a.status != 200 || json.Unmarshal([]byte(a.body), &page) != nil {
			r.Fatalf("%v = %d %s", query, a.status, a.body)
		}
		for _, j := range page.Jobs {
			names = append(names, j.Name)
		}
		if page.Next == nil {
			return strings.Join(names, " ")
		}
		query.Set("before", *page.Next)
	}
}

func TestJobsAreListedByStateProfileAndName(t *testing.T) {
	t.Parallel()
	r := start(t)
	made := map[string]job.Job{}
	for _, tt := range []struct{ name, profile string }{
		{"a-Trip.mp4", "voice"}, {"b-trip.mp4", "best"}, {"c.mp4", "voice"}, {"d-trip.mp4", "voice"}, {"e.trip", "standard"},
	} {
		a := r.do(request{path: "/upload?profile=" + tt.profile, form: []part{{"file", tt.name, "video"}}})
		r.want(a, 200, "success!")
		made[tt.name] = r.job(strings.TrimPrefix(a.header.Get("Location"), "/jobs/"))
	}
	r.fail(made["a-Trip.mp4"].ID)
	r.fail(made["d-trip.mp4"].ID)
	r.convert(made["b-trip.mp4"].ID, "sound")
	r.claim(made["c.mp4"].ID)
	for query, want := range map[string]string{
		"":                                  "e.trip d-trip.mp4 c.mp4 b-trip.mp4 a-Trip.mp4",
		"state=failed":                      "d-trip.mp4 a-Trip.mp4",
		"state=failed&state=converted":      "d-trip.mp4 b-trip.mp4 a-Trip.mp4",
		"state=failed&state=failed&state=":  "d-trip.mp4 a-Trip.mp4",
		"state=done":                        "",
		"profile=voice":                     "d-trip.mp4 c.mp4 a-Trip.mp4",
		"profile=&q=&state=":                "e.trip d-trip.mp4 c.mp4 b-trip.mp4 a-Trip.mp4",
		"q=TRIP":                            "e.trip d-trip.mp4 b-trip.mp4 a-Trip.mp4",
		"q=.trip":                           "e.trip",
		"q=.*":                              "",
		"q=trip&profile=voice&state=failed": "d-trip.mp4 a-Trip.mp4",
		"q=trip&profile=best&state=queued":  "",
		"q=%F0%9F%8E%B5":                    "",
	} {
		for _, limit := range []string{"1", "2", "200"} {
			values, err := url.ParseQuery(query)
			r.must(err)
			values.Set("limit", limit)
			if got := r.list(values); got != want {
				t.Errorf("%s, %s to a page: %s, want %s", query, limit, got, want)
			}
		}
	}
}

func TestABadFilterIsNamed(t *testing.T) {
	t.Parallel()
	r := start(t)
	for query, want := range map[string]string{
		"state=x":                       "state must be queued, converting, converted, done or failed; it may be there several times",
		"state=failed&state=uploading":  "state must be ",
		"state=deleted":                 "state must be ",
		"state=failed,done":             "state must be ",
		"profile=loud":                  "profile must be one of standard, cbr128, voice, high, best",
		"profile=voice&profile=best":    "profile must be ",
		"q=a&q=b":                       "q must be one part of a file name",
		"q=" + strings.Repeat("x", 256): "q must be ",
		"q=%00":                         "q must be ",
		"q=%ff":                         "q must be ",
		"q=a%0a":                        "q must be ",
		"state=failed&limit=0":          "limit must be 1 to 200 and before a job's id",
	} {
		r.wantProblem(r.do(request{path: "/jobs?" + query}), 400, want)
	}
}
