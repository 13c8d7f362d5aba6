package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestTheMedianIsInTheMiddle(t *testing.T) {
	for name, tt := range map[string]struct {
		in   samples
		want float64
	}{
		"none":                      {nil, 0},
		"one":                       {samples{3}, 3},
		"an odd number, not sorted": {samples{9, 1, 5}, 5},
		"an even number":            {samples{4, 1, 2, 100}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			before := slices.Clone(tt.in)
			if got := tt.in.median(); got != tt.want {
				t.Errorf("median of %v = %v, want %v", tt.in, got, tt.want)
			}
			if !slices.Equal(tt.in, before) {
				t.Errorf("median changed its samples from %v to %v", before, tt.in)
			}
		})
	}
}

func TestARatioIsOfMedians(t *testing.T) {
	if got := ratio(samples{8, 8, 80}, samples{10, 10, 1}); got != 0.8 {
		t.Errorf("ratio = %v, want 0.8", got)
	}
	if got := ratio(samples{8}, nil); got != 0 {
		t.Errorf("ratio without a base = %v, want 0", got)
	}
}

func TestBothSidesRunInTurn(t *testing.T) {
	b := &bench{settings: settings{Rounds: 2}, out: io.Discard}
	var order string
	one := func(name string, rate float64) side {
		return func(context.Context) (float64, error) {
			order += name
			return rate, nil
		}
	}
	base, ours, err := b.compare(t.Context(), "x", one("a", 10), one("b", 9))
	if err != nil {
		t.Fatal(err)
	}
	if order != "abab" {
		t.Errorf("they ran as %s, want abab", order)
	}
	if !slices.Equal(base, samples{10, 10}) || !slices.Equal(ours, samples{9, 9}) {
		t.Errorf("compare = %v, %v", base, ours)
	}
}

func TestAFailingSideEndsTheComparison(t *testing.T) {
	errAway := errors.New("away")
	b := &bench{settings: settings{Rounds: 2}, out: io.Discard}
	fails := func(context.Context) (float64, error) { return 0, errAway }
	if _, _, err := b.compare(t.Context(), "x", fails, fails); !errors.Is(err, errAway) {
		t.Errorf("compare = %v, want %v", err, errAway)
	}
}

func TestEachContenderIsFirstInTurn(t *testing.T) {
	all := []string{"a", "b", "c"}
	for round, want := range []string{"abc", "bca", "cab", "abc"} {
		if got := strings.Join(rotated(all, round), ""); got != want {
			t.Errorf("round %d goes %s, want %s", round, got, want)
		}
	}
}
