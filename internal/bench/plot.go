package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Plots are drawn by hand: two shapes, a few lines of SVG each, for which no library is worth its upkeep. They have no
// background, and their greys and colours can be read on a light and on a dark one.

// drawing is an SVG in the making.
type drawing struct {
	strings.Builder
	width, height float64
}

func draw(width, height float64) *drawing {
	d := &drawing{width: width, height: height}
	fmt.Fprintf(d, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%g" height="%g" font-family="system-ui, sans-serif" font-size="12">`+"\n",
		width, height, width, height)
	d.WriteString("<style>text{fill:#59636e}line,path{stroke:#8c959f;fill:none}" +
		"@media(prefers-color-scheme:dark){text{fill:#9198a1}}</style>\n")
	return d
}

func (d *drawing) done() string {
	d.WriteString("</svg>\n")
	return d.String()
}

// hues are told apart by eyes that see no red or green, too.
var hues = []string{"#2f81f7", "#e3742f", "#1a9e77", "#b35bd6", "#c9a227", "#d6456b"}

func (d *drawing) line(x1, y1, x2, y2 float64, strong bool) {
	width := 0.4
	if strong {
		width = 1.4
	}
	fmt.Fprintf(d, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke-width="%g"/>`+"\n", x1, y1, x2, y2, width)
}

// text writes at a point; anchor is start, middle or end.
func (d *drawing) text(x, y float64, anchor, s string) {
	fmt.Fprintf(d, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", x, y, anchor, html.EscapeString(s))
}

// dot is a mark of a series: even ones are round, odd ones square.
func (d *drawing) dot(x, y float64, series int) {
	const r = 4.5
	hue := hues[series%len(hues)]
	if series%2 == 0 {
		fmt.Fprintf(d, `<circle cx="%.1f" cy="%.1f" r="%g" fill="%s"/>`+"\n", x, y, r, hue)
		return
	}
	fmt.Fprintf(d, `<rect x="%.1f" y="%.1f" width="%g" height="%g" fill="%s"/>`+"\n", x-r+0.5, y-r+0.5, 2*r-1, 2*r-1, hue)
}

func (d *drawing) path(points [][2]float64, series int, dashed bool) {
	var to strings.Builder
	for i, p := range points {
		fmt.Fprintf(&to, "%c%.1f %.1f", "ML"[min(i, 1)], p[0], p[1])
	}
	style := ""
	if dashed {
		style = ";stroke-dasharray:5 4"
	}
	fmt.Fprintf(d, `<path d="%s" style="stroke:%s;stroke-width:2%s"/>`+"\n", to.String(), hues[series%len(hues)], style)
}

// legend names the series in a line.
func (d *drawing) legend(x, y float64, names []string) {
	for i, name := range names {
		d.dot(x, y-4, i)
		d.text(x+9, y, "start", name)
		x += 26 + 6.4*float64(len([]rune(name)))
	}
}

// scale is a logarithmic axis.
type scale struct{ from, to, low, high float64 } // of values; of points

func (s scale) at(v float64) float64 {
	v = min(max(v, s.from), s.to)
	return s.low + (s.high-s.low)*math.Log(v/s.from)/math.Log(s.to/s.from)
}

// ticks are 1, 2 and 5 of each decade on the axis.
func (s scale) ticks() []float64 {
	var all []float64
	for decade := math.Floor(math.Log10(s.from)); decade <= math.Ceil(math.Log10(s.to)); decade++ {
		for _, step := range []float64{1, 2, 5} {
			if v := step * math.Pow(10, decade); v >= s.from*0.999 && v <= s.to*1.001 {
				all = append(all, v)
			}
		}
	}
	return all
}

// around is a scale that holds all values, its ends on ticks.
func around(values []float64, low, high float64) scale {
	s := scale{math.Inf(1), 0, low, high}
	for _, v := range values {
		if v > 0 {
			s.from, s.to = min(s.from, v), max(s.to, v)
		}
	}
	down, up := math.Pow(10, math.Floor(math.Log10(s.from))), math.Pow(10, math.Ceil(math.Log10(s.to)))
	for _, step := range []float64{5, 2} {
		if down*step <= s.from {
			down *= step
			break
		}
	}
	for _, step := range []float64{0.2, 0.5} {
		if up*step >= s.to {
			up *= step
			break
		}
	}
	s.from, s.to = down, up
	return s
}
