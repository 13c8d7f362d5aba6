package job

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestWhatIsIllFormedIsNoTrail(t *testing.T) {
	for name, tt := range map[string]struct {
		request, parent, state string
		want                   Trail
	}{
		"none":                     {},
		"all":                      {"a-B_9.z", parent, "vendor=1,o=2", Trail{"a-B_9.z", parent, "vendor=1,o=2"}},
		"a long request id":        {request: strings.Repeat("a", 65)},
		"the longest":              {request: strings.Repeat("a", 64), want: Trail{Request: strings.Repeat("a", 64)}},
		"a line end":               {request: "a\nb"},
		"a quote":                  {request: `a"b`},
		"no ASCII":                 {request: "ä"},
		"capital hex":              {parent: strings.ToUpper(parent)},
		"another version":          {parent: "01" + parent[2:]},
		"too long":                 {parent: parent + "-00"},
		"no trace":                 {parent: "00-00000000000000000000000000000000-b7ad6b7169203331-01"},
		"no span":                  {parent: "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"},
		"other signs":              {parent: strings.ReplaceAll(parent, "-", "_")},
		"no hex":                   {parent: strings.Replace(parent, "a", "g", 1)},
		"a state without a parent": {state: "vendor=1"},
		"a long state":             {parent: parent, state: strings.Repeat("a", 513), want: Trail{Parent: parent}},
		"a state of two lines":     {parent: parent, state: "a=1\r\nb=2", want: Trail{Parent: parent}},
	} {
		t.Run(name, func(t *testing.T) {
			got := ReadTrail(func(name string) string {
				return map[string]string{HeaderRequest: tt.request, HeaderParent: tt.parent, HeaderState: tt.state}[name]
			})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if want := map[bool]string{true: parent[3:35]}[got.Parent != ""]; got.Trace() != want {
				t.Errorf("trace %q, want %q", got.Trace(), want)
			}
		})
	}
}

func TestAJobsMessagesFollowIt(t *testing.T) {
	j := New(start, rules, video.ID, "a@b.c")
	want := Trail{"id", parent, "a=1"}
	j.Follow(want)
	if diff := cmp.Diff(want, j.Message().Trail); diff != "" {
		t.Error(diff)
	}
	if body := string(j.Message().Encode()); strings.Contains(body, "\"id\"") || strings.Contains(body, parent) {
		t.Errorf("the body is no longer the contract's: %s", body)
	}
	adopted := Adopt(start, rules, Message{Video: video.ID, Username: "a@b.c", Trail: want}, video)
	if diff := cmp.Diff(want, adopted.Trail()); diff != "" {
		t.Error(diff)
	}
}
