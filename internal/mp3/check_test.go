package mp3

import (
	"bytes"
	"slices"
	"testing"
)

// reservoirs are streams of LAME's that use the bit reservoir.
func reservoirs(tb testing.TB) map[string][]byte {
	tb.Helper()
	all := map[string][]byte{}
	for name, p := range profiles {
		s := makeSound(5, "music", p.rate, p.channels, 3)
		all[name] = s.encode(tb, 0, s.length(), "-q:a", p.quality)
	}
	s := makeSound(5, "music", 44100, 2, 3)
	all["CBR"] = s.encode(tb, 0, s.length(), "-b:a", "128k")
	return all
}

func TestCheckFindsNothingWrongWithLAMEs(t *testing.T) {
	t.Parallel()
	for name, mp3 := range reservoirs(t) {
		got := check(t, mp3)
		if got.Headless+got.Impossible+got.Changes+got.Lost > 0 || got.Frames != got.Info.Frames || got.Info.Encoder == "" {
			t.Errorf("%s: %+v", name, got)
		}
		p, ok := profiles[name]
		if !ok {
			p = profile{rate: 44100, channels: 2}
		}
		if want := int64(3 * p.rate); got.Rate != p.rate || got.Channels != p.channels || got.Samples < want || got.Samples > want+4000 {
			t.Errorf("%s: %+v, want %d channels at %d Hz, %d samples", name, got, p.channels, p.rate, want)
		}
	}
}

func TestCheckFindsDamage(t *testing.T) {
	t.Parallel()
	streams := reservoirs(t)
	delete(streams, "CBR") // its reservoir is full: main data may begin anywhere in it
	for name, mp3 := range streams {
		all := frames(t, mp3)
		middle := slices.IndexFunc(all, func(f Frame) bool {
			return f.MainDataBegin() > 0 && f.MainDataBegin() < f.maxBegin() && !f.Silent()
		})
		if middle < 0 {
			t.Fatalf("%s does not use the reservoir", name)
		}
		change := func(f func(damaged Frame)) Facts {
			damaged := make([]Frame, len(all))
			for i := range all {
				damaged[i] = slices.Clone(all[i])
			}
			f(damaged[middle])
			return check(t, slices.Concat(toBytes(damaged)...))
		}
		for what, got := range map[string]Facts{
			"main data begins too far back": change(func(f Frame) { f.setMainDataBegin(f.maxBegin()) }),
			"too much main data":            change(func(f Frame) { f.setMainDataBegin(0); setPart23(f, 4095) }),
			"too many values":               change(func(f Frame) { setBig(f, 289) }),
		} {
			if got.Impossible < 1 || got.Impossible > 2 || got.Frames != int64(len(all)-1) || got.Headless+got.Lost+got.Changes > 0 {
				t.Errorf("%s, %s: %+v", name, what, got)
			}
		}
	}
}

func TestCheckKnowsWhatWasCut(t *testing.T) {
	t.Parallel()
	for name, mp3 := range reservoirs(t) {
		all := toBytes(frames(t, mp3))
		from := slices.IndexFunc(all, func(b []byte) bool { return Frame(b).MainDataBegin() > 0 })
		got := check(t, slices.Concat(all[from:]...))
		if got.Headless == 0 || got.Headless > 40 || got.Impossible+got.Lost > 0 {
			t.Errorf("%s, its beginning cut: %+v", name, got)
		}
		lost := slices.Delete(bytes.Clone(mp3), len(mp3)/2, len(mp3)/2+700)
		if got := check(t, lost); got.Lost == 0 || got.Headless > 0 {
			t.Errorf("%s, 700 bytes of its middle missing: %+v", name, got)
		}
	}
}

func TestCheckCountsChanges(t *testing.T) {
	t.Parallel()
	all := reservoirs(t)
	if got := check(t, slices.Concat(all["standard"], all["mono"], all["22 kHz"], all["22 kHz"])); got.Changes != 2 || got.Lost > 0 {
		t.Errorf("%+v, want 2 changes", got)
	}
}

func toBytes(frames []Frame) [][]byte {
	all := make([][]byte, len(frames))
	for i, f := range frames {
		all[i] = f
	}
	return all
}

// setPart23 changes the first granule's.
func setPart23(f Frame, bits int) { setBits(f, 0, 12, bits) }

func setBig(f Frame, pairs int) { setBits(f, 12, 9, pairs) }

// setBits changes n bits of the first granule.
func setBits(f Frame, at, n, value int) {
	side := f.side()
	at += 8 + f.Channels()
	if f.mpeg1() {
		at += 10 + f.Channels() - 2
	}
	for i := range n {
		bit := byte(1) << (7 - (at+i)%8)
		side[(at+i)/8] &^= bit
		if value>>(n-1-i)&1 == 1 {
			side[(at+i)/8] |= bit
		}
	}
}
