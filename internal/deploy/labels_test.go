package deploy

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// fixed are the labels that our metrics may have, each with the values that it may take: none that a client, a file or a time
// makes up. A route has letters only, so an id in it is found.
var fixed = map[string]string{
	"route":       `none|(/[a-z._{}*-]*)+`,
	"method":      `GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|other`,
	"code":        `0|[2-5][0-9][0-9]|other`,
	"class":       `none|[1-5]xx`,
	"queue":       `video|mp3`,
	"redelivered": `true|false`,
	"verdict":     `settled|buried|postponed|given_back`,
	"result":      `ok|error|cut|aside|converted|failed|crashed|postponed|stopped|lost|sent|refused|later|expired|released|delivered|away`,
	"stage":       `wait|claim|fetch|encode|store|commit|mail`,
	"state":       `queued|converting|converted`,
	"mode":        `user|system`,
	"service":     `auth|gateway|converter|notification`,
	"version":     `\S+`,
}

// mostSeries is how many series one of our metrics may have in one process after a test's few requests, buckets not counted.
const mostSeries = 60

// ours are the metrics that we have made: not those of the client library about Go and the process.
func ours(metric string) bool {
	for _, prefix := range []string{"go_", "process_", "promhttp_"} {
		if strings.HasPrefix(metric, prefix) {
			return false
		}
	}
	return true
}

// scraped is what some programs have shown: the labels of each metric, and what of ours is bounded.
type scraped struct {
	labels map[string][]string
	values map[string]map[string]bool // of each label
	series map[string]map[string]bool // of each metric
}

func newScraped() scraped {
	return scraped{map[string][]string{}, map[string]map[string]bool{}, map[string]map[string]bool{}}
}

var (
	sample = regexp.MustCompile(`(?m)^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+$`)
	pair   = regexp.MustCompile(`(\w+)="((?:[^"\\]|\\.)*)"`)
)

// note adds the samples of a scrape in Prometheus's text format. Values are kept of the metrics that bounded names.
func (s scraped) note(text string, bounded func(metric string) bool) {
	for _, m := range sample.FindAllStringSubmatch(text, -1) {
		metric, set := m[1], ""
		if _, ok := s.labels[metric]; !ok {
			s.labels[metric] = nil
		}
		for _, l := range pair.FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(s.labels[metric], l[1]) {
				s.labels[metric] = append(s.labels[metric], l[1])
			}
			if l[1] != "le" && bounded != nil && bounded(metric) {
				add(s.values, l[1], l[2])
				set += l[0] + ","
			}
		}
		if bounded != nil && bounded(metric) {
			add(s.series, metric, set)
		}
	}
}

func add(to map[string]map[string]bool, key, value string) {
	if to[key] == nil {
		to[key] = map[string]bool{}
	}
	to[key][value] = true
}

// areFixed holds what was scraped against fixed.
func (s scraped) areFixed(t *testing.T) {
	for label, values := range s.values {
		allowed, ok := fixed[label]
		if !ok {
			t.Errorf("label %s is not known here: what values may it take? %v", label, values)
			continue
		}
		is := regexp.MustCompile(`^(?:` + allowed + `)$`)
		for value := range values {
			if !is.MatchString(value) {
				t.Errorf("label %s has the value %q, which is not of %s", label, value, allowed)
			}
		}
	}
	for metric, series := range s.series {
		if len(series) > mostSeries {
			t.Errorf("%s has %d series", metric, len(series))
		}
	}
	for _, metric := range []string{"http_requests_total", "http_request_seconds_count", "queue_message_seconds_count", "job_stage_seconds_count"} {
		if len(s.series[metric]) < 2 {
			t.Errorf("%s has %d series: is anything read at all?", metric, len(s.series[metric]))
		}
	}
}
