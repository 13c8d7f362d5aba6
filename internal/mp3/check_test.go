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

func TestCheck(t *testing.T) {
	t.Parallel()
	streams := reservoirs(t)
	t.Run("nothing is wrong with LAME's", func(t *testing.T) {
		for name, mp3 := range streams {
			checkSound(t, name, mp3)
		}
	})
	t.Run("damage", func(t *testing.T) {
		for name, mp3 := range streams {
			if name != "CBR" { // its reservoir is full: main data may begin anywhere in it
				checkDamage(t, name, frames(t, mp3))
			}
		}
	})
	t.Run("cuts", func(t *testing.T) {
		for name, mp3 := range streams {
			checkCut(t, name, mp3)
		}
	})
	t.Run("changes", func(t *testing.T) {
		got := check(t, slices.Concat(streams["standard"], streams["mono"], streams["22 kHz"], streams["22 kHz"]))
		if got.Changes != 2 || got.Lost > 0 {
			t.Errorf("%+v, want 2 changes", got)
		}
	})
}

func checkSound(t *testing.T, name string, mp3 []byte) {
	t.Helper()
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

func checkDamage(t *testing.T, name string, all []Frame) {
	t.Helper()
	middle := slices.IndexFunc(all, func(f Frame) bool {
		return f.MainDataBegin() > 0 && f.MainDataBegin() < f.maxBegin() && !f.Silent()
	})
	if middle < 0 {
		t.Fatalf("%s does not use the reservoir", name)
	}
	damagedAt := func(at int, damage func(f Frame)) Facts {
		f := slices.Clone(all[at])
		damage(f)
		return check(t, slices.Concat(toBytes(slices.Concat(all[:at], []Frame{f}, all[at+1:]))...))
	}
	damaged := func(damage func(f Frame)) Facts { return damagedAt(middle, damage) }
	tooMuch := func(f Frame) { f.setMainDataBegin(0); setBits(f, 0, 12, 4095) }
	for what, got := range map[string]Facts{
		"main data begins too far back": damaged(func(f Frame) { f.setMainDataBegin(f.maxBegin()) }),
		"too much main data":            damaged(tooMuch),
		"too much main data at the end": damagedAt(len(all)-1, tooMuch),
		"too many values":               damaged(func(f Frame) { setBits(f, 12, 9, 289) }),
	} {
		// The frame after it may look wrong too.
		if got.Impossible < 1 || got.Impossible > 2 || got.Frames != int64(len(all)-1) || got.Headless+got.Lost+got.Changes > 0 {
			t.Errorf("%s, %s: %+v", name, what, got)
		}
	}
}

func checkCut(t *testing.T, name string, mp3 []byte) {
	t.Helper()
	all := frames(t, mp3)
	from := slices.IndexFunc(all, func(f Frame) bool { return f.MainDataBegin() > 0 })
	got := check(t, slices.Concat(toBytes(all[from:])...))
	if got.Headless == 0 || got.Headless > 40 || got.Impossible+got.Lost > 0 {
		t.Errorf("%s, its beginning cut: %+v", name, got)
	}
	got = check(t, slices.Delete(bytes.Clone(mp3), len(mp3)/2, len(mp3)/2+700))
	if got.Lost == 0 || got.Headless > 0 {
		t.Errorf("%s, 700 bytes of its middle missing: %+v", name, got)
	}
}

func toBytes(frames []Frame) [][]byte {
	all := make([][]byte, len(frames))
	for i, f := range frames {
		all[i] = f
	}
	return all
}

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
