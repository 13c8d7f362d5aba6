package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// table returns one of the report's, or none.
func (r report) table(name string) (table, bool) {
	for _, t := range r.Tables {
		if t.Name == name {
			return t, true
		}
	}
	return table{}, false
}

// row returns what is said of one thing in a pivoted table.
func (t table) row(of, what string) (row, bool) {
	for _, r := range t.Rows {
		if r.Of == of && r.What == what {
			return r, true
		}
	}
	return row{}, false
}

// plotConversions has a line for each video, with marks where the ratios lie.
func plotConversions(r *report) string {
	t, ok := r.table("convert")
	if !ok {
		return ""
	}
	const left, right, top, step, apart = 210, 30, 52, 30, 6
	series := []struct{ what, says string }{
		{cpuStatic, "services, CPU"}, {wallStatic, "services, wall"}, {suiteCPU, "suite, CPU"}, {suiteWall, "suite, wall"},
	}
	names, _ := t.pivot()
	values, legend := []float64{1}, []string{}
	for _, s := range series {
		legend = append(legend, s.says)
		for _, name := range names {
			r, _ := t.row(name, s.what)
			values = append(values, r.Value)
		}
	}
	height := float64(top + step*len(names) + 30)
	d := draw(820, height)
	x := around(values, left, d.width-right)
	d.text(0, 14, "start", "Conversions, of what bare ffmpeg takes on a local file (the same program, profile standard); less is better; the axis is logarithmic")
	d.legend(left, 36, legend)
	bottom := height - 26
	for _, v := range x.ticks() {
		d.line(x.at(v), top-4, x.at(v), bottom, v == 1)
		d.text(x.at(v), bottom+16, "middle", strconv.FormatFloat(v, 'g', -1, 64))
	}
	for i, name := range names {
		y := float64(top + step*i + step/2)
		d.text(left-12, y+4, "end", name)
		for s := range series {
			if r, ok := t.row(name, series[s].what); ok && r.Value > 0 {
				d.dot(x.at(r.Value), y+apart*(float64(s)-1.5), s) // else one hides another
			}
		}
	}
	return d.done()
}

// acts are what the plot shows of a job's life, each in its hue, whoever keeps the job.
var acts = []string{"claim", "commit", "list", "sweep", "publish", "consume"}

// curve is one act at one keeper, from few waiting jobs to many.
type curve struct {
	name   string
	act    int
	points [][2]float64 // waiting jobs, milliseconds
}

func (t table) curves() (all []curve) {
	numbers, lists := t.pivot()
	if len(numbers) == 0 {
		return nil
	}
	for _, r := range lists[numbers[0]] {
		_, act, _ := strings.Cut(r.What, ": ")
		c := curve{name: r.What, act: slices.Index(acts, act)}
		for _, number := range numbers {
			if at, ok := t.row(number, r.What); ok && c.act >= 0 && at.Value > 0 {
				c.points = append(c.points, [2]float64{count(number), at.Value})
			}
		}
		if len(c.points) > 0 {
			all = append(all, c)
		}
	}
	return all
}

// plotWaiting has a curve for each thing that is done to a job, against how many wait.
func plotWaiting(r *report) string {
	t, _ := r.table("waiting")
	curves := t.curves()
	if len(curves) == 0 {
		return ""
	}
	const left, right, top, bottom = 60, 150, 34, 40
	d := draw(820, 400)
	var waiting, costs []float64
	for _, c := range curves {
		for _, p := range c.points {
			waiting, costs = append(waiting, p[0]), append(costs, p[1])
		}
	}
	slices.Sort(waiting)
	x, y := around(waiting, left, d.width-right), around(costs, d.height-bottom, top)
	d.text(0, 14, "start", "Processor time per job in milliseconds, against the number of jobs that wait; both axes logarithmic")
	for _, v := range slices.Compact(waiting) {
		d.line(x.at(v), top, x.at(v), d.height-bottom, false)
		d.text(x.at(v), d.height-bottom+18, "middle", fmt.Sprintf("%.0f", v))
	}
	for _, v := range y.ticks() {
		d.line(left, y.at(v), d.width-right, y.at(v), false)
		d.text(left-8, y.at(v)+4, "end", strconv.FormatFloat(v, 'g', -1, 64))
	}
	for i, c := range curves {
		for k, p := range c.points {
			curves[i].points[k] = [2]float64{x.at(p[0]), y.at(p[1])}
			d.dot(curves[i].points[k][0], curves[i].points[k][1], c.act)
		}
		d.path(c.points, c.act, strings.HasPrefix(c.name, ferretName))
	}
	d.label(curves, d.width-right+12)
	return d.done()
}

// label names the curves at their ends, moved apart where those are close.
func (d *drawing) label(curves []curve, x float64) {
	const apart = 15
	end := func(c curve) float64 { return c.points[len(c.points)-1][1] }
	slices.SortStableFunc(curves, func(a, b curve) int { return cmp.Compare(end(b), end(a)) }) // from below
	last := d.height
	for _, c := range curves {
		y := min(end(c)+4, last-apart)
		last = y
		d.dot(x, y-4, c.act)
		d.text(x+9, y, "start", c.name)
	}
}

// count is the number that a name begins with.
func count(name string) float64 {
	digits, _, _ := strings.Cut(name, " ")
	n, _ := strconv.ParseFloat(digits, 64)
	return n
}
