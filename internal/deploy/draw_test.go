package deploy

import (
	"fmt"
	"html"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Of a cell of Grafana's grid, in pixels.
const cellWidth, cellHeight = 50, 28

var colours = []string{"#3274d9", "#e0752d", "#299c46", "#a352cc", "#e02f44", "#b7950b", "#0a9396", "#6d6875", "#8d6e63", "#222"}

var legendLabel = regexp.MustCompile(`\{\{(\w+)\}\}`)

// draw makes an SVG of a dashboard: rows, titles, lines and legends, and where there is no data that.
func draw(d dashboard, ask func(expr string) []line) string {
	var out strings.Builder
	height := 0
	for _, p := range d.Panels {
		height = max(height, (p.GridPos.Y+p.GridPos.H)*cellHeight)
	}
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="11">`+
		`<rect width="100%%" height="100%%" fill="#f4f5f5"/>`, 24*cellWidth, height)
	for _, p := range d.Panels {
		g := p.GridPos
		x, y, w, h := g.X*cellWidth, g.Y*cellHeight, g.W*cellWidth, g.H*cellHeight
		if p.Type == "row" {
			fmt.Fprintf(&out, `<text x="%d" y="%d" font-size="15" font-weight="bold">%s</text>`, x+6, y+20, html.EscapeString(p.Title))
			continue
		}
		fmt.Fprintf(&out, `<g transform="translate(%d,%d)"><rect x="3" y="3" width="%d" height="%d" fill="#fff" stroke="#ddd"/>`+
			`<text x="12" y="20" font-weight="bold">%s</text>`, x, y, w-6, h-6, html.EscapeString(p.Title))
		drawLines(&out, p, ask, float64(w), float64(h))
		out.WriteString("</g>")
	}
	out.WriteString("</svg>")
	return out.String()
}

func drawLines(out *strings.Builder, p panel, ask func(string) []line, w, h float64) {
	type named struct {
		line
		name string
	}
	var all []named
	first, last, top := time.Unix(1<<40, 0), time.Time{}, 0.0
	for _, target := range p.Targets {
		for _, l := range ask(target.Expr) {
			if len(l.at) == 0 {
				continue
			}
			all = append(all, named{l, legendLabel.ReplaceAllStringFunc(target.LegendFormat, func(m string) string { return l.labels[m[2:len(m)-2]] })})
			for i, at := range l.at {
				if at.Before(first) {
					first = at
				}
				if at.After(last) {
					last = at
				}
				top = max(top, l.values[i])
			}
		}
	}
	if len(all) == 0 {
		fmt.Fprintf(out, `<text x="%.0f" y="%.0f" fill="#888">no data</text>`, w/2-20, h/2)
		return
	}
	if top == 0 {
		top = 1
	}
	const left, above = 60.0, 32.0
	legend := float64((len(all)+2)/3) * 14
	width, height := w-left-16, h-above-legend-18
	for i := range 3 {
		y := above + height*float64(i)/2
		fmt.Fprintf(out, `<line x1="%.0f" x2="%.0f" y1="%.1f" y2="%.1f" stroke="#eee"/><text x="%.0f" y="%.1f" text-anchor="end" fill="#666">%s</text>`,
			left, left+width, y, y, left-4, y+4, number(top*float64(2-i)/2, p.FieldConfig.Defaults.Unit))
	}
	span := max(1, last.Sub(first).Seconds())
	for i, l := range all {
		var points []string
		for k, at := range l.at {
			points = append(points, fmt.Sprintf("%.1f,%.1f", left+width*at.Sub(first).Seconds()/span, above+height*(1-l.values[k]/top)))
		}
		colour := colours[i%len(colours)]
		fmt.Fprintf(out, `<polyline fill="none" stroke="%s" stroke-width="1.5" points="%s"/>`, colour, strings.Join(points, " "))
		fmt.Fprintf(out, `<text x="%.0f" y="%.0f" fill="%s" font-size="10">%s</text>`,
			16+(w-20)/3*float64(i%3), above+height+20+14*float64(i/3), colour, html.EscapeString(l.name))
	}
}

// number writes a value in a unit of Grafana's.
func number(v float64, unit string) string {
	switch unit {
	case "s":
		return time.Duration(v * float64(time.Second)).Round(time.Duration(math.Pow10(int(math.Floor(math.Log10(max(v, 1e-6)))) + 7))).String()
	case "percentunit":
		return fmt.Sprintf("%.3g %%", v*100)
	case "bytes":
		return fmt.Sprintf("%.3g MiB", v/(1<<20))
	case "reqps":
		return fmt.Sprintf("%.3g /s", v)
	default:
		return fmt.Sprintf("%.3g", v)
	}
}

func TestAPanelIsDrawnWithItsLines(t *testing.T) {
	d := dashboard{Panels: []panel{{ID: 1, Type: "row", Title: "Row"}, {ID: 2, Type: "timeseries", Title: "A < B"}}}
	d.Panels[1].GridPos.W, d.Panels[1].GridPos.H = 8, 8
	d.Panels[1].Targets = append(d.Panels[1].Targets, struct{ RefID, Expr, LegendFormat string }{"A", "up", "{{app}} is up"})
	now := time.Unix(1000, 0)
	got := draw(d, func(string) []line {
		return []line{{map[string]string{"app": "auth"}, []time.Time{now, now.Add(time.Second)}, []float64{1, 2}}}
	})
	for _, want := range []string{"Row", "A &lt; B", "auth is up", "<polyline"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
