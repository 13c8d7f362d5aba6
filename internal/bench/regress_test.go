package main

import (
	"strings"
	"testing"
)

func TestARegressionIsWhatGotWorseByMoreThanTheNoise(t *testing.T) {
	rate := func(ours float64) row { return compared("x", "MB/s", samples{100}, samples{ours}) }
	seconds := func(ours float64) row { return compared("x", "s", samples{100}, samples{ours}) }
	ms := func(v float64) row { return value("x", v, "%.1f ms").against(atMost(5)) }
	for name, tt := range map[string]struct {
		was, now row
		want     bool
	}{
		"a rate that fell":           {rate(100), rate(89), true},
		"a rate that fell a little":  {rate(100), rate(91), false},
		"a rate that rose":           {rate(100), rate(150), false},
		"a time that grew":           {seconds(100), seconds(111), true},
		"a time that fell":           {seconds(100), seconds(50), false},
		"memory that grew":           {value("x", 10, "%.0f").against(atMost(20)), value("x", 12, "%.0f").against(atMost(20)), true},
		"a share that fell":          {value("x", 0.9, "%.1f").against(atLeast(0.8)), value("x", 0.8, "%.1f").against(atLeast(0.8)), true},
		"a time below 0 that stayed": {ms(-0.5), ms(-0.5), false},
		"a time near 0 that moved":   {ms(0.05), ms(0.15), false},
		"a time near 0 that grew":    {ms(0.05), ms(0.30), true},
		"a value that nobody judges": {value("x", 1, "%.0f"), value("x", 9, "%.0f"), false},
	} {
		t.Run(name, func(t *testing.T) {
			of := func(r row) *report { return &report{Tables: []table{{Name: "t", Rows: []row{r}}}} }
			if got := regressions(of(tt.was), of(tt.now)); (len(got) == 1) != tt.want {
				t.Errorf("regressions = %+v, want one: %v", got, tt.want)
			}
		})
	}
}

func TestRowsOfOneNameAreNotMixedUp(t *testing.T) {
	at := func(first, second float64) *report {
		under := func(v float64) row { return value("  memory", v, "%.0f MiB").against(atMost(20)) }
		return &report{Tables: []table{{Name: "t", Rows: []row{
			compared("1 at once", "MB/s", samples{1}, samples{1}), under(first),
			compared("16 at once", "MB/s", samples{1}, samples{1}), under(second),
		}}}}
	}
	var said strings.Builder
	tell(&said, regressions(at(5, 10), at(5, 15)), "bench.json")
	const want = "\nWorse than in bench.json by more than 10 %:\n  t ·  · 16 at once: memory: 15 MiB, was 10 MiB\n"
	if said.String() != want {
		t.Errorf("it says %q, want %q", said.String(), want)
	}
}
