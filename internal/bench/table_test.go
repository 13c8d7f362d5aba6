package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAValueIsHeldAgainstItsGoal(t *testing.T) {
	for name, tt := range map[string]struct {
		value float64
		goal  *goal
		want  string
	}{
		"more than at least": {0.81, atLeast(0.8), "ok"},
		"just at least":      {0.8, atLeast(0.8), "ok"},
		"less than at least": {0.79, atLeast(0.8), "short"},
		"at most":            {20, atMost(20), "ok"},
		"more than at most":  {20.1, atMost(20), "short"},
		"nothing at all":     {0, atMost(20).aim(), "ok"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := value("x", tt.value, "%v").against(tt.goal).Result; got != tt.want {
				t.Errorf("%v against %+v is %s, want %s", tt.value, tt.goal, got, tt.want)
			}
		})
	}
}

func example() table {
	return table{
		Title: "Upload", Base: "raw", Notes: []string{"honest limits"},
		Rows: []row{
			compared("1 at once", "MB/s", samples{100, 102}, samples{90, 92}).against(atLeast(0.8)),
			value("  memory", 21.5, "%.1f MiB").against(atMost(20).aim()),
			value("  CPU", 1.234, "%.2f s"),
		},
	}
}

func TestTheTableSaysItAll(t *testing.T) {
	const want = `
Upload
             raw       ours       result    goal              
  1 at once  101 MB/s  91.0 MB/s  0.90      ≥ 0.80            ok
    memory                        21.5 MiB  ≤ 20.0 MiB (aim)  short
    CPU                           1.23 s                      
  - honest limits
`
	var got strings.Builder
	example().print(&got)
	if got.String() != want {
		t.Errorf("print:\n%s\nwant:\n%s", got.String(), want)
	}
}

func TestTheReportHasEverySample(t *testing.T) {
	file := filepath.Join(t.TempDir(), "new", "bench.json")
	r := newReport(t.Context(), settings{MB: 7})
	if err := r.write(file); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("a report without tables has been written over the last one")
	}
	r.Tables = append(r.Tables, example())
	if err := r.write(file); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var back report
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if got := back.Tables[0].Rows[0]; len(got.Base) != 2 || len(got.Ours) != 2 || got.Result != "ok" || *got.Goal != *atLeast(0.8) {
		t.Errorf("the first row came back as %+v", got)
	}
	if back.Settings.MB != 7 || back.Machine.Go == "" || back.Machine.Processors == 0 || back.Machine.LoadBefore == "" {
		t.Errorf("settings and machine came back as %+v, %+v", back.Settings, back.Machine)
	}
}
