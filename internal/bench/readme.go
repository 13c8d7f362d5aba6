package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Where the results lie that README shows, from the top of the repository.
const (
	results  = "internal/bench/bench.json"
	readme   = "README.md"
	plotsDir = "internal/bench"
)

// The marks that README's generated part lies between.
const (
	readmeBegin = "<!-- bench: made by go run ./internal/bench -readme -->\n"
	readmeEnd   = "<!-- end -->\n"
)

// readReport reads one.
func readReport(file string) (*report, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r := &report{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

// publish brings README and the plots, below dir, to what the committed results say.
func publish(dir string) error {
	files, err := generated(dir)
	if err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// generated are README and the plots as they should be, by their paths from dir.
func generated(dir string) (map[string]string, error) {
	r, err := readReport(filepath.Join(dir, results))
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(dir, readme))
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for name, draw := range map[string]func(*report) string{"convert.svg": plotConversions, "waiting.svg": plotWaiting} {
		if svg := draw(r); svg != "" {
			files[filepath.Join(plotsDir, name)] = svg
		}
	}
	before, rest, ok := strings.Cut(string(text), readmeBegin)
	_, after, ends := strings.Cut(rest, readmeEnd)
	if !ok || !ends {
		return nil, fmt.Errorf("%s has no lines %q and %q for the results between", readme, readmeBegin, readmeEnd)
	}
	files[readme] = before + readmeBegin + r.markdown() + readmeEnd + after
	return files, nil
}

// markdown is README's part: every goal, and how far it is met.
func (r *report) markdown() string {
	var b strings.Builder
	b.WriteString("| | goal | seen | |\n|---|---|---|---|\n")
	for _, m := range measurements() {
		if t, ok := r.table(m.name); ok {
			t.markdown(&b)
		} else if m.goal {
			fmt.Fprintf(&b, "| **%s** | | not measured | |\n", m.name)
		}
	}
	fmt.Fprintf(&b, "\nOn %d processors (%s); the load is that of the minute before; \"aim\" is nobody's promise.\n", r.Machine.Processors, r.Machine.Processor)
	for _, plot := range []struct {
		there bool
		file  string
		says  string
	}{
		{plotConversions(r) != "", "convert.svg", "Conversions against bare ffmpeg"},
		{plotWaiting(r) != "", "waiting.svg", "Cost per job against the number of waiting jobs"},
	} {
		if plot.there {
			fmt.Fprintf(&b, "\n![%s](%s/%s)\n", plot.says, plotsDir, plot.file)
		}
	}
	return b.String()
}

func (t table) markdown(b *strings.Builder) {
	titled, parent := false, ""
	for _, r := range t.Rows {
		name := strings.TrimSpace(r.What)
		if name == r.What {
			parent = name
		}
		if r.Goal == nil {
			continue
		}
		if !titled {
			fmt.Fprintf(b, "| **%s**%s | | | |\n", t.Title, t.facts())
			titled = true
		}
		switch {
		case r.Of != "":
			name = r.Of + ": " + name
		case name != r.What:
			name = parent + ": " + name
		}
		if r.From != "" {
			name += " (" + r.From + ")"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", name, r.Goal.text(r.Format), fmt.Sprintf(r.Format, r.Value), r.Result)
	}
}

// facts are how far to trust a table: of which run it is, and how many samples either side has of what has a goal.
func (t table) facts() string {
	least, most := 0, 0
	for _, r := range t.Rows {
		if n := len(r.Ours); r.Goal != nil && n > 0 {
			if least == 0 {
				least = n
			}
			least, most = min(least, n), max(most, n)
		}
	}
	text := ""
	if origin := t.origin(); origin != "" {
		text = ": " + origin
	}
	switch {
	case most == 0:
		return text
	case least < most:
		return text + fmt.Sprintf("; %d to %d samples a side", least, most)
	case most == 1:
		return text + "; 1 sample a side"
	}
	return text + fmt.Sprintf("; %d samples a side", most)
}
