package container

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mp3converter/internal/job"
	"mp3converter/internal/testmedia"
)

// tracked is a trak box whose samples lie in the chunks that the tables say.
func tracked(id int, handler, tables string) string {
	return mk("trak", mk("tkhd", 0, 0, 0, id, 0, 0), mk("mdia", mk("hdlr", 0, 0, handler), mk("minf", mk("stbl", tables))))
}

// cutFile is a file of an index and a thousand bytes of samples; at counts offsets from where these begin.
func cutFile(moov func(at func(int) int) string) string {
	head := len(mk("ftyp", "isom") + mk("moov", moov(func(int) int { return 0 })))
	return mk("ftyp", "isom") + mk("moov", moov(func(n int) int { return head + 8 + n })) + mk("mdat", strings.Repeat("s", 1000))
}

// samplesOf are tables of chunks with two samples each, of so many bytes.
func samplesOf(bytes int, offsets ...any) string {
	return mk("stsc", 0, 1, 1, 2, 1) + mk("stsz", 0, bytes, 2*len(offsets)) + mk("stco", append([]any{0, len(offsets)}, offsets...)...)
}

func TestWhereTheSoundIs(t *testing.T) {
	t.Parallel()
	type at = func(int) int
	picture := func(at at, offsets ...any) string { return tracked(1, "vide", samplesOf(1, offsets...)) }
	for name, tt := range map[string]struct {
		moov func(at at) string
		want []job.Span // of the thousand bytes; nil is all
	}{
		"two runs between pictures": {
			func(at at) string {
				return picture(at, at(0), at(300)) + tracked(2, "soun", samplesOf(10, at(200), at(500)))
			},
			[]job.Span{{From: 200, To: 300}, {From: 500, To: 1000}},
		},
		"backwards": {
			func(at at) string {
				return picture(at, at(300), at(0)) + tracked(2, "soun", samplesOf(10, at(500), at(200)))
			},
			[]job.Span{{From: 200, To: 300}, {From: 500, To: 1000}},
		},
		"all tracks of sound, and all that are no pictures": {
			func(at at) string {
				return picture(at, at(0), at(300), at(700)) + tracked(2, "soun", samplesOf(10, at(200))) +
					tracked(3, "text", samplesOf(1, at(250))) + tracked(4, "soun", samplesOf(10, at(600)))
			},
			[]job.Span{{From: 200, To: 300}, {From: 600, To: 700}},
		},
		"samples of sizes of their own, in two sorts of chunks, in a 64-bit table": {
			func(at at) string {
				return picture(at, at(0), at(300)) + tracked(2, "soun", mk("stsc", 0, 2, 1, 1, 1, 2, 2, 1)+mk("stsz", 0, 0, 3, 100, 7, 493)+
					mk("co64", 0, 2, 0, at(200), 0, at(500)))
			},
			[]job.Span{{From: 200, To: 300}, {From: 500, To: 1000}},
		},
		"no sound": {func(at at) string { return picture(at, at(0)) }, []job.Span{}},
		"a run that reaches into the pictures": {func(at at) string {
			return picture(at, at(0), at(300)) + tracked(2, "soun", samplesOf(51, at(200)))
		}, nil},
		"two runs at one place": {func(at at) string {
			return picture(at, at(0), at(300)) + tracked(2, "soun", samplesOf(1, at(300)))
		}, nil},
		"a run beyond the file": {func(at at) string {
			return picture(at, at(0)) + tracked(2, "soun", samplesOf(1, at(1000)))
		}, nil},
		"a run that ends beyond the file": {func(at at) string {
			return picture(at, at(0)) + tracked(2, "soun", samplesOf(300, at(500)))
		}, nil},
		"samples that no size is known of": {func(at at) string {
			return tracked(2, "soun", mk("stsc", 0, 1, 1, 2, 1)+mk("stsz", 0, 1, 1)+mk("stco", 0, 1, at(0)))
		}, nil},
		"a table of sizes that ends too early": {func(at at) string {
			return tracked(2, "soun", mk("stsc", 0, 1, 1, 2, 1)+mk("stsz", 0, 0, 2, 5)+mk("stco", 0, 1, at(0)))
		}, nil},
		"2^32 chunks": {func(at) string { return tracked(2, "soun", mk("stco", 0, -1, 0)) }, nil},
		"2^32 samples of 2^32": {func(at at) string {
			return tracked(2, "soun", mk("stsc", 0, 1, 1, -1, 1)+mk("stsz", 0, -1, -1)+mk("stco", 0, 1, at(0)))
		}, nil},
		"chunks of no number": {func(at at) string {
			return tracked(2, "soun", mk("stsc", 0, 0)+mk("stsz", 0, 1, 2)+mk("stco", 0, 1, at(0)))
		}, nil},
		"the second chunk first": {func(at at) string {
			return tracked(2, "soun", mk("stsc", 0, 1, 2, 1, 1)+mk("stsz", 0, 1, 2)+mk("stco", 0, 1, at(0)))
		}, nil},
		"one number for 2 tracks":  {func(at at) string { return picture(at, at(0)) + tracked(1, "soun", samplesOf(1, at(10))) }, nil},
		"sound that says vide":     {func(at at) string { return tracked(1, "vide", samplesOf(1, at(0))+mk("hdlr", 0, 0, "soun")) }, nil},
		"a track in a track":       {func(at at) string { return picture(at, at(0)) + mk("udta", tracked(2, "soun", samplesOf(1, at(10)))) }, nil},
		"an empty track elsewhere": {func(at at) string { return picture(at, at(0)) + mk("udta", mk("trak")) }, nil},
		"a fragment in the index":  {func(at at) string { return picture(at, at(0)) + mk("udta", mk("moof")) }, nil},
		"an index in the index":    {func(at at) string { return picture(at, at(0)) + mk("udta", mk("moov")) }, nil},
		"more runs than are kept": {func(at at) string {
			const n = maxRuns + 1
			return tracked(2, "soun", mk("stsc", 0, 1, 1, 1, 1)+mk("stsz", 0, 0, n, strings.Repeat("\x00\x00\x00\x00", n))+
				mk("stco", 0, n, strings.Repeat(mk("", at(0))[4:8], n)))
		}, nil},
		"two tables of one track": {func(at at) string { return tracked(2, "soun", samplesOf(1, at(0))+mk("stco", 0, 1, at(9))) }, nil},
		"sizes of few bits":       {func(at at) string { return tracked(2, "soun", samplesOf(1, at(0))+mk("stz2", 0, 1, 1)) }, nil},
		"a compressed index":      {func(at) string { return mk("cmov", "x") }, nil},
		"too many tracks":         {func(at) string { return strings.Repeat(tracked(2, "vide", ""), 100) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := cutFile(tt.moov)
			var want []job.Span
			if start := int64(len(file) - 1000); tt.want != nil {
				want = []job.Span{{From: 0, To: start}}
				for _, s := range tt.want {
					want = append(want, job.Span{From: s.From + start, To: s.To + start})
				}
			}
			if diff := cmp.Diff(want, soundOf(t, []byte(file))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// soundOf holds whatever Sound says to what must always be so.
func soundOf(tb testing.TB, data []byte) []job.Span {
	tb.Helper()
	spans := Sound(bytes.NewReader(data), int64(len(data)))
	last := int64(-1)
	for _, s := range spans {
		if s.From <= last || s.To <= s.From || s.To > int64(len(data)) {
			tb.Fatalf("%d bytes: %v", len(data), spans)
		}
		last = s.To
	}
	return spans
}

// holed is the data with nothing but the spans.
func holed(data []byte, spans []job.Span) []byte {
	out := make([]byte, len(data))
	for _, s := range spans {
		copy(out[s.From:s.To], data[s.From:s.To])
	}
	return out
}

func TestWhatIsInFragments(t *testing.T) {
	t.Parallel()
	index := mk("ftyp", "isom") + mk("moov", tracked(1, "vide", samplesOf(1))+tracked(2, "soun", samplesOf(1))+
		mk("mvex", mk("trex", 0, 1, 1, 0, 0, 0)+mk("trex", 0, 2, 1, 0, 20, 0)))
	const media = "sound-sound-sound-sound-and-pictures-and-pictures"
	// Offsets are counted from the fragment, unless the file says otherwise.
	fragment := func(traf ...any) string { return mk("moof", traf...) }
	size := func(traf ...any) int { return len(fragment(traf...)) + 8 }
	moofs := map[string]struct {
		build func(data int) string // data is where the samples begin
		want  *job.Span             // of media
	}{
		"the usual size": {func(data int) string {
			return fragment(mk("traf", mk("tfhd", 0x20000, 2), mk("trun", 1, 1, data)), mk("traf", mk("tfhd", 0x20000, 1), mk("trun", 1, 1, data+24)))
		}, &job.Span{From: 0, To: 24}},
		"the fragment's size": {func(data int) string {
			return fragment(mk("traf", mk("tfhd", 0x2001A, 2, 1, 100, 12), mk("trun", 1, 2, data)), mk("traf", mk("tfhd", 0x20000, 1), mk("trun", 1, 1, data+24)))
		}, &job.Span{From: 0, To: 24}},
		"sizes of their own": {func(data int) string {
			return fragment(mk("traf", mk("tfhd", 0x20000, 2), mk("trun", 0xF05, 2, data, 0, 1, 20, 0, 0, 1, 4, 0, 0)), mk("traf", mk("tfhd", 0x20000, 1), mk("trun", 1, 1, data+24)))
		}, &job.Span{From: 0, To: 24}},
		"a place in the file": {func(data int) string {
			return fragment(mk("traf", mk("tfhd", 1, 2, 0, len(index)), mk("trun", 1, 1, data)), mk("traf", mk("tfhd", 1, 1, 0, len(index)), mk("trun", 1, 1, data+24)))
		}, &job.Span{From: 0, To: 24}},
		"too large a size": {func(data int) string {
			return fragment(mk("traf", mk("tfhd", 0x20000, 2), mk("trun", 0x201, 1, data, 25)), mk("traf", mk("tfhd", 0x20000, 1), mk("trun", 1, 1, data+24)))
		}, nil},
		"2^32 samples of 2^32": {func(data int) string {
			return fragment(mk("traf", mk("tfhd", 0x20010, 2, -1), mk("trun", 1, -1, data)))
		}, nil},
		"fewer sizes than samples": {func(data int) string {
			return fragment(mk("traf", mk("tfhd", 0x20000, 2), mk("trun", 0x201, 2, data, 1)))
		}, nil},
		"no place said": {func(int) string { return fragment(mk("traf", mk("tfhd", 0x20000, 2), mk("trun", 0, 1))) }, nil},
		"counted from what came before": {func(data int) string {
			return fragment(mk("traf", mk("tfhd", 0, 2), mk("trun", 1, 1, data)), mk("traf", mk("tfhd", 0, 1), mk("trun", 1, 1, data+24)))
		}, nil},
		"an unknown track":        {func(data int) string { return fragment(mk("traf", mk("tfhd", 0x20000, 3), mk("trun", 1, 1, data))) }, nil},
		"a place before the file": {func(int) string { return fragment(mk("traf", mk("tfhd", 0x20000, 2), mk("trun", 1, 1, -10000))) }, nil},
		"a place behind the file": {func(int) string { return fragment(mk("traf", mk("tfhd", 1, 2, -1, -1), mk("trun", 1, 1, 0))) }, nil},
		"a run in a run": {func(data int) string {
			return fragment(mk("traf", mk("tfhd", 0x20000, 2), mk("trun", 1, 1, data, mk("trun", 1, 1, data))))
		}, nil},
	}
	for name, tt := range moofs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := size(tt.build(0)[8:])
			file := index + tt.build(data) + mk("mdat", media)
			var want []job.Span
			if start := int64(len(index) + data); tt.want != nil {
				want = []job.Span{{From: 0, To: start + tt.want.To}}
			}
			if diff := cmp.Diff(want, soundOf(t, []byte(file))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatIsNotCertainIsAllOfIt(t *testing.T) {
	t.Parallel()
	whole := cutFile(func(at func(int) int) string {
		return tracked(1, "vide", samplesOf(1, at(0), at(300))) + tracked(2, "soun", samplesOf(10, at(200)))
	})
	if soundOf(t, []byte(whole)) == nil {
		t.Fatal("not even this is certain")
	}
	for name, data := range map[string]string{
		"nothing": "", "no MP4": "RIFF....AVI LIST", "an end that is missing": whole[:len(whole)-1], "something behind": whole + "tail",
		"a box of a name nobody knows": whole + mk("what", "x"), "two indexes": whole + mk("moov", "x"), "no index": mk("ftyp", "isom") + mk("mdat", "x"),
		"an index in another box": whole + mk("free", mk("moov", "x")), "a fragment in another": whole + mk("skip", "moof"),
		"a fragment before the index": mk("ftyp", "isom") + mk("moof", "") + whole, "no samples": mk("ftyp", "isom") + mk("moov", ""),
		"a maze": mk("ftyp", "isom") + strings.Repeat(mk("free", ""), maxSteps+1) + whole,
	} {
		if got := soundOf(t, []byte(data)); got != nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestAFailingReadIsAllOfIt(t *testing.T) {
	t.Parallel()
	data := load(t, testmedia.Clip(t, testmedia.Spec{}))
	for _, good := range []int64{0, 40, int64(len(data)) * 9 / 10, int64(len(data)) - 1000} {
		if got := Sound(broken{bytes.NewReader(data), good}, int64(len(data))); got != nil {
			t.Errorf("reading fails at %d: %v", good, got)
		}
	}
}

// faulty fails at one read, and at no other.
type faulty struct {
	io.ReaderAt
	left *int
}

func (f faulty) ReadAt(p []byte, off int64) (int, error) {
	if *f.left--; *f.left == 0 {
		return 0, errDisk
	}
	return f.ReaderAt.ReadAt(p, off)
}

func TestAReadThatFailsOnceIsAllOfIt(t *testing.T) {
	t.Parallel()
	data := load(t, testmedia.Clip(t, testmedia.Spec{}))
	for n, done := 1, false; !done; n++ {
		left := n
		got := Sound(faulty{bytes.NewReader(data), &left}, int64(len(data)))
		if done = left > 0; !done && got != nil {
			t.Errorf("read %d fails: %v", n, got)
		}
	}
}

// The tables of a file with holes say what they said.
func FuzzSound(f *testing.F) {
	f.Add([]byte(cutFile(func(at func(int) int) string {
		return tracked(1, "vide", samplesOf(1, at(0), at(300))) + tracked(2, "soun", samplesOf(10, at(200)))
	})))
	f.Add([]byte(mk("ftyp", "isom") + mk("moov", tracked(1, "vide", samplesOf(1))+tracked(2, "soun", samplesOf(1))+mk("mvex", mk("trex", 0, 2, 1, 0, 9, 0))) +
		mk("moof", mk("traf", mk("tfhd", 0x20000, 2), mk("trun", 0x201, 1, 80, 9)), mk("traf", mk("tfhd", 0x20000, 1), mk("trun", 1, 1, 89))) + mk("mdat", "soundsoundpicturepicture")))
	f.Fuzz(func(t *testing.T, data []byte) {
		spans := soundOf(t, data)
		if spans == nil {
			return
		}
		rest := holed(data, spans)
		if diff := cmp.Diff(spans, soundOf(t, rest)); diff != "" {
			t.Errorf("the sound of what is left of it:\n%s", diff)
		}
		if diff := cmp.Diff(facts(t, data), facts(t, rest)); diff != "" {
			t.Errorf("Read of what is left of it:\n%s", diff)
		}
	})
}
