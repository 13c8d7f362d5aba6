package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const top = "../.."

func TestReadmeAndPlotsAreWhatTheResultsSay(t *testing.T) {
	files, err := generated(top)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(top, name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s is not what %s says; run: go run ./internal/bench -readme\n%s", name, results, diff)
		}
	}
	if len(files) < 3 {
		t.Errorf("README shows %d plots, want 2", len(files)-1)
	}
}

func TestResultsAreInReadmeAndInPlots(t *testing.T) {
	dir := t.TempDir()
	for _, sub := range []string{plotsDir} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	text := "before\n" + readmeBegin + "old\n" + readmeEnd + "after\n"
	if err := os.WriteFile(filepath.Join(dir, readme), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	r := &report{Tables: []table{
		{Name: "upload", Title: "Uploads", Commit: "abc", When: time.Date(2026, 11, 28, 17, 0, 0, 0, time.UTC), Load: "0.12", Rows: []row{
			compared("1 at once", "MB/s", samples{100}, samples{91}).against(atLeast(0.8)),
			value("  memory", 30, "%.0f MiB").against(atMost(20)),
			value("  CPU", 1, "%.0f s"),
		}},
		{Name: "convert", Title: "Conversions", Rows: []row{
			{Of: "a < b", What: cpuStatic, Value: 1.04, Format: "%.2f", Goal: atMost(1.05), Result: "ok"},
			{Of: "a < b", What: suiteWall, Value: 0.5, Format: "%.2f"},
		}},
		{Name: "waiting", Title: "Waiting", Rows: []row{
			{Of: "10 wait", What: "SQLite: claim", Value: 0.1, Format: "%.3f ms"},
			{Of: "10000 wait", What: "SQLite: claim", Value: 0.2, Format: "%.3f ms"},
		}},
	}}
	if err := r.write(filepath.Join(dir, results)); err != nil {
		t.Fatal(err)
	}
	if err := publish(dir); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, readme))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"before\n" + readmeBegin + "| | goal",
		"| **Uploads**: commit abc, 2026-11-28 17:00, load 0.12; 1 sample a side | | | |\n| 1 at once | ≥ 0.80 | 0.91 | ok |\n| 1 at once: memory | ≤ 20 MiB | 30 MiB | short |\n| **download** | | not measured | |\n",
		"| **Conversions** | | | |\n| a < b: CPU, the same ffmpeg | ≤ 1.05 | 1.04 | ok |\n",
		"![Cost per job against the number of waiting jobs](internal/bench/waiting.svg)\n" + readmeEnd + "after\n",
	} {
		if !strings.Contains(string(got), want) {
			t.Errorf("README lacks %q:\n%s", want, got)
		}
	}
	if strings.Contains(string(got), "old") {
		t.Error("README still has what was there")
	}
	for name, want := range map[string]string{"convert.svg": "a &lt; b", "waiting.svg": "SQLite: claim"} {
		svg, err := os.ReadFile(filepath.Join(dir, plotsDir, name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(svg), want) || !strings.HasSuffix(string(svg), "</svg>\n") {
			t.Errorf("%s lacks %q, or its end:\n%s", name, want, svg)
		}
	}
}

func TestAPointLiesWhereItsValueIs(t *testing.T) {
	s := around([]float64{0.3, 1, 40}, 100, 500)
	if s.from != 0.2 || s.to != 50 || s.at(0.2) != 100 || s.at(50) != 500 {
		t.Errorf("around = %+v", s)
	}
	if a, b, c := s.at(1), s.at(2), s.at(4); b <= a || (b-a)-(c-b) > 0.001 || (c-b)-(b-a) > 0.001 {
		t.Errorf("twice as much lies at %v, %v, %v", a, b, c)
	}
	if beyond := s.at(1000); beyond != 500 {
		t.Errorf("what is beyond lies at %v, want the end", beyond)
	}
}

func TestMeasuringOneVideoAgainKeepsTheOthers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bench.json")
	rows := func(v float64, of ...string) (all []row) {
		for _, name := range of {
			all = append(all, row{Of: name, What: "x", Value: v})
		}
		return all
	}
	for _, r := range []report{
		{Tables: []table{{Name: "convert", Commit: "old", Load: "9", Rows: rows(1, clip10s, clip60s, clipPhone, "gone from the corpus")}}},
		{Settings: settings{Clips: []string{clip60s}}, Tables: []table{{Name: "convert", Commit: "new", Rows: rows(2, clip60s)}}},
	} {
		if err := r.write(file); err != nil {
			t.Fatal(err)
		}
	}
	got, err := readReport(file)
	if err != nil {
		t.Fatal(err)
	}
	want := append(append(rows(1, clip10s), rows(2, clip60s)...), rows(1, clipPhone)...)
	want[0].From, want[2].From = "commit old, load 9", "commit old, load 9" // not of the new table's run
	if diff := cmp.Diff(want, got.Tables[0].Rows); diff != "" {
		t.Error(diff)
	}
}

func TestMeasuringAgainKeepsWhatWasNotMeasured(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bench.json")
	for _, r := range []*report{
		{Tables: []table{{Name: "convert", Title: "old"}, {Name: "upload", Title: "old"}}},
		{Tables: []table{{Name: "convert", Title: "new"}}},
	} {
		if err := r.write(file); err != nil {
			t.Fatal(err)
		}
	}
	got, err := readReport(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Tables) != 2 || got.Tables[0].Title != "old" || got.Tables[0].Name != "upload" || got.Tables[1].Title != "new" {
		t.Errorf("tables are %+v", got.Tables)
	}
}

func TestWhatFailedLeavesNoOlderTable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bench.json")
	for _, r := range []*report{
		{Tables: []table{{Name: "convert"}, {Name: "upload"}}},
		{Failed: []string{"upload"}},
	} {
		if err := r.write(file); err != nil {
			t.Fatal(err)
		}
	}
	got, err := readReport(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Tables) != 1 || got.Tables[0].Name != "convert" {
		t.Errorf("tables are %+v, want convert's alone", got.Tables)
	}
}

func TestWhatHasAGoalAndWasNotMeasuredIsInReadme(t *testing.T) {
	r := &report{Tables: []table{{Name: "login", Title: "Login", Rows: []row{value("login", 1, "%.0f ms").against(atMost(2))}}}}
	text := r.markdown()
	for _, m := range measurements() {
		if said := strings.Contains(text, "| **"+m.name+"** | | not measured | |\n"); said != (m.goal && m.name != "login") {
			t.Errorf("that %s was not measured is said: %v, in\n%s", m.name, said, text)
		}
	}
	for _, must := range []string{"upload", "download", "firstbyte", "crowd", "validate", "short"} {
		if !strings.Contains(text, "| **"+must+"** | | not measured") {
			t.Errorf("%s has goals, and is not in\n%s", must, text)
		}
	}
}

func TestNoMarkHidesAnother(t *testing.T) {
	var same []row
	for _, what := range []string{cpuStatic, wallStatic, suiteCPU, suiteWall} {
		same = append(same, row{Of: clip10s, What: what, Value: 0.5})
	}
	svg := plotConversions(&report{Tables: []table{{Name: "convert", Rows: same}}})
	seen := map[string]bool{}
	for _, mark := range regexp.MustCompile(`<(circle|rect) c?x="[^"]*" c?y="[^"]*"`).FindAllString(svg, -1) {
		if seen[mark] {
			t.Errorf("two marks begin %s>", mark)
		}
		seen[mark] = true
	}
	if len(seen) != 8 { // four in the legend
		t.Errorf("%d marks, want 8:\n%s", len(seen), svg)
	}
}
