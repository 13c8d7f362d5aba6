package ffmpeg

import (
	"math"
	"testing"
	"time"
)

// cut returns the segments of a sound, without what they share, as split.slice would make them where every place is good.
func (p plan) cut(sound, seam time.Duration, cores int) (parts []time.Duration) {
	length, others := p.lengths(sound, seam, cores)
	for rest := sound; ; length = others {
		part := length
		if len(parts) > 0 {
			part -= seam
		}
		if rest < part+length/2 {
			return append(parts, rest)
		}
		parts, rest = append(parts, part), rest-part
	}
}

func TestSegmentsFillTheCoresEvenly(t *testing.T) {
	t.Parallel()
	p := newPlan(5 * time.Millisecond)
	for _, tt := range []struct {
		sound time.Duration
		cores int
		want  int // segments
	}{
		{10 * time.Second, 2, 1}, {time.Minute, 16, 1}, {65 * time.Second, 2, 2}, {65 * time.Second, 16, 2}, {2 * time.Minute, 2, 2},
		{5 * time.Minute, 2, 2 + 1}, {10 * time.Minute, 2, 2 + 1}, {10 * time.Minute, 16, 10}, {11 * time.Minute, 2, 6}, {time.Hour, 2, 24 + 1}, {time.Hour, 16, 16 + 1}, {time.Hour, 1, 24 + 1},
	} {
		parts := p.cut(tt.sound, usual, tt.cores)
		if len(parts) != tt.want {
			t.Errorf("%v on %d cores is cut into %v, want %d", tt.sound, tt.cores, parts, tt.want)
		}
		if _, others := p.lengths(tt.sound, usual, tt.cores); others > 2*p.most+usual || len(parts) > 2*tt.cores+1 && others > p.most+usual {
			t.Errorf("%v on %d cores: segments of %v", tt.sound, tt.cores, others)
		}
	}
	for _, sound := range []time.Duration{1, math.MaxInt64} { // as a video may say
		if first, others := p.lengths(sound, usual, 64); first < 1 || others < first || others > 2*p.most {
			t.Errorf("%v: segments of %v and %v", sound, first, others)
		}
	}
}

// Two cores that make 10 minutes end together if the one that decodes has a tenth less to encode.
func TestTheCoreThatDecodesHasLessToEncode(t *testing.T) {
	t.Parallel()
	parts := newPlan(0).cut(10*time.Minute, 0, 2)
	want := []time.Duration{30 * time.Second, 300 * time.Second, 270 * time.Second}
	if len(parts) != 3 || parts[0] != want[0] || parts[1] != want[1] || parts[2] != want[2] {
		t.Errorf("they are cut into %v, want %v", parts, want)
	}
}

func TestSeamsCostATwentiethAtMost(t *testing.T) {
	t.Parallel()
	p := newPlan(time.Millisecond)
	for sound := time.Second; sound < 20*time.Hour; sound += sound/7 + time.Second {
		for cores := 1; cores <= 64; cores++ {
			parts := p.cut(sound, usual, cores)
			if cost := time.Duration(len(parts)-1) * usual; cost > sound/20 {
				t.Errorf("%v on %d cores has %d segments, and %v is encoded twice", sound, cores, len(parts), cost)
			}
			if pays := p.pays(sound); pays != (len(parts) > 1 || cores == 1 && pays) {
				t.Errorf("%v on %d cores: it pays: %v, but there are %d segments", sound, cores, pays, len(parts))
			}
		}
	}
}
