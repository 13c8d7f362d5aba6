package container

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mp3converter/internal/testmedia"
)

// mk is a box with a body of parts: strings, and numbers of 32 bits.
func mk(kind string, parts ...any) string {
	var b []byte
	for _, part := range parts {
		switch part := part.(type) {
		case string:
			b = append(b, part...)
		case int:
			b = binary.BigEndian.AppendUint32(b, uint32(part))
		}
	}
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(b)+8))) + kind + string(b)
}

// track1 is a trak box of sound at 1000 ticks per second; the tables are given.
func track1(tables string, more ...any) string {
	return mk("trak", append([]any{mk("tkhd", 0, 0, 0, 1, 0, 0), mk("mdia",
		mk("mdhd", 0, 0, 0, 1000, 0, 0), mk("hdlr", 0, 0, "soun"), mk("minf", mk("stbl", tables)))}, more...)...)
}

// onesecond are tables of ten samples of 100 ticks in one chunk at the file's beginning.
var onesecond = mk("stsd", 0, 1, 0, "mp4a") + mk("stts", 0, 1, 10, 100) + mk("stsc", 0, 1, 1, 10, 1) + mk("stco", 0, 1, 0)

var mvhd = mk("mvhd", 0, 0, 0, 600, 0, 0) // 600 units per second

// mvex says that there are fragments of track1, with samples of 100 ticks.
func mvex(more ...any) string { return mk("mvex", append(more, mk("trex", 0, 1, 1, 100, 0, 0))...) }

func TestMP4Tables(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		moov string
		want Facts
	}{
		"ten samples": {mvhd + track1(onesecond), Facts{Sound: time.Second, Exact: true}},
		"two runs of samples": {
			mvhd + track1(mk("stts", 0, 2, 10, 100, 1, 500)+mk("stsc", 0, 1, 1, 11, 1)+mk("stco", 0, 1, 0)),
			Facts{Sound: 1500 * time.Millisecond, Exact: true},
		},
		"one chunk of two is missing": {
			mvhd + track1(mk("stts", 0, 1, 10, 100)+mk("stsc", 0, 1, 1, 5, 1)+mk("stco", 0, 2, 0, 1<<30)),
			Facts{Sound: time.Second, Exact: true, Missing: time.Second / 2},
		},
		"chunks of two sizes in a 64-bit table": {
			mvhd + track1(mk("stts", 0, 1, 10, 100)+mk("stsc", 0, 2, 1, 4, 1, 2, 3, 1)+mk("co64", 0, 3, 0, 0, 0, 0, 1, 0)),
			Facts{Sound: time.Second, Exact: true, Missing: 300 * time.Millisecond},
		},
		"an edit that plays a part": {
			mvhd + track1(onesecond, mk("edts", mk("elst", 0, 1, 300, 100, 1<<16))),
			Facts{Sound: time.Second / 2, Exact: true},
		},
		"an edit longer than the track": {
			mvhd + track1(onesecond, mk("edts", mk("elst", 0, 1, 6000, 100, 1<<16))),
			Facts{Sound: 900 * time.Millisecond, Exact: true},
		},
		"an empty edit in front": {
			mvhd + track1(onesecond, mk("edts", mk("elst", 0, 2, 3000, -1, 1<<16, 600, 0, 1<<16))),
			Facts{Sound: time.Second, Exact: true},
		},
		"an edit of 64-bit numbers": {
			mvhd + track1(onesecond, mk("edts", mk("elst", 1<<24, 1, 0, 300, 0, 100, 1<<16))),
			Facts{Sound: time.Second / 2, Exact: true},
		},
		"the second track is the first of sound": {
			mvhd + strings.Replace(track1(mk("stts", 0, 1, 1, 9000)), "soun", "vide", 1) + track1(onesecond),
			Facts{Sound: time.Second, Exact: true},
		},
		"encrypted": {
			mvhd + track1(mk("stsd", 0, 1, 0, "enca")+mk("stts", 0, 1, 10, 100)+mk("stsc", 0, 1, 1, 10, 1)+mk("stco", 0, 1, 0)),
			Facts{Sound: time.Second, Exact: true, Locked: true},
		},
		"no sound":             {mvhd + strings.Replace(track1(onesecond), "soun", "vide", 1), Facts{}},
		"no tracks":            {mvhd, Facts{}},
		"no samples":           {mvhd + track1(mk("stts", 0, 0)), Facts{}},
		"a time scale of zero": {mvhd + strings.Replace(track1(onesecond), "\x00\x00\x03\xe8", "\x00\x00\x00\x00", 1), Facts{}},
		"more samples than a table can hold": {
			mvhd + track1(mk("stts", 0, -1, 10, 100)+mk("stsc", 0, -1, 1, 10, 1)+mk("stco", 0, -1, 0)),
			Facts{Sound: time.Second, Exact: true},
		},
		"2^32 samples of 2^32 ticks": {
			mvhd + strings.Replace(track1(mk("stts", 0, 4, -1, -1, -1, -1, -1, -1, -1, -1)+mk("stsc", 0, 1, 1, -1, 1)+mk("stco", 0, 1, 0)),
				"\x00\x00\x03\xe8", "\x00\x00\x00\x01", 1),
			Facts{Sound: math.MaxInt64, Exact: true, Missing: math.MaxInt64 - math.MaxInt64/2 - math.MaxInt64/2},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := facts(t, []byte(mk("ftyp", "isom")+mk("moov", tt.moov)+mk("mdat", "sound")))
			tt.want.Format = MP4
			if name == "2^32 samples of 2^32 ticks" {
				got.Missing, tt.want.Missing = 0, 0 // a chunk of 2^32 samples is less than four runs of them
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMP4Fragments(t *testing.T) {
	t.Parallel()
	moov := func(more ...any) string { return mk("moov", append([]any{mvhd, track1(mk("stts", 0, 0))}, more...)...) }
	fragment := func(parts ...any) string { return mk("moof", mk("traf", parts...)) + mk("mdat", "sound") }
	for name, tt := range map[string]struct {
		file string
		want Facts
	}{
		"usual durations":        {moov(mvex()) + fragment(mk("tfhd", 0, 1), mk("trun", 0, 10)), Facts{Sound: time.Second, Exact: true}},
		"durations of the track": {moov(mvex()) + fragment(mk("tfhd", 8, 1, 50), mk("trun", 0, 10)), Facts{Sound: time.Second / 2, Exact: true}},
		"durations behind other fields": {
			moov(mvex()) + fragment(mk("tfhd", 1|2|8, 1, 0, 0, 0, 50), mk("trun", 0, 10)), Facts{Sound: time.Second / 2, Exact: true},
		},
		"durations of samples": {
			moov(mvex()) + fragment(mk("tfhd", 0, 1), mk("trun", 1|4|0x100|0x200, 2, 0, 0, 400, 9, 600, 9)), Facts{Sound: time.Second, Exact: true},
		},
		"more samples than there are": {
			moov(mvex()) + fragment(mk("tfhd", 0, 1), mk("trun", 0x100, -1, 400, 600)), Facts{Sound: time.Second, Exact: true},
		},
		"two fragments, one of another track": {
			moov(mvex()) + fragment(mk("tfhd", 0, 1), mk("trun", 0, 10)) + fragment(mk("tfhd", 0, 2), mk("trun", 0, 10)),
			Facts{Sound: time.Second, Exact: true},
		},
		"fewer fragments than declared": {
			moov(mvex(mk("mehd", 0, 6000))) + fragment(mk("tfhd", 0, 1), mk("trun", 0, 10)), Facts{Sound: 10 * time.Second, Cut: true},
		},
		"as many as declared": {
			moov(mvex(mk("mehd", 1<<24, 0, 600))) + fragment(mk("tfhd", 0, 1), mk("trun", 0, 10)), Facts{Sound: time.Second, Exact: true},
		},
		"an index of more bytes than there are": {
			moov(mvex()) + mk("sidx", 0, 1, 1000, 0, 0, 1, 100_000, 1000, 0) + fragment(mk("tfhd", 0, 1), mk("trun", 0, 10)), Facts{Cut: true},
		},
		"an index of the bytes there are": {
			moov(mvex()) + mk("sidx", 1<<24, 1, 1000, 0, 0, 0, 0, 1, 20, 1000, 0) + fragment(mk("tfhd", 0, 1), mk("trun", 0, 10)),
			Facts{Sound: time.Second, Exact: true},
		},
		"no fragment": {moov(mvex()), Facts{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := facts(t, []byte(mk("ftyp", "isom")+tt.file))
			tt.want.Format = MP4
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Of fragments only so many are waited for that their length can be guessed; what the rest would tell is left open.
func TestTheFrontOfAFile(t *testing.T) {
	t.Parallel()
	moov := func(samples int, more ...any) string {
		return mk("moov", append([]any{mvhd, track1(mk("stts", 0, 1, samples, 100), mk("stsz", 0, 1, samples))}, more...)...)
	}
	fragment := mk("moof", mk("traf", mk("tfhd", 0, 1), mk("trun", 0, 10)))
	for name, tt := range map[string]struct {
		head string
		rest int           // bytes
		want time.Duration // all of it, or before the last fragment
		more bool
	}{
		"fragments":                 {moov(0, mvex()) + fragment + mk("mdat", "sound") + fragment, 10_000, time.Second, true},
		"of what has begun before":  {moov(10, mvex()) + mk("mdat", "sound") + fragment, 10_000, time.Second, true},
		"of a length":               {moov(0, mvex(mk("mehd", 0, 6000))), 10_000, 10 * time.Second, true},
		"two, and that was all":     {moov(0, mvex()) + fragment + fragment, 0, 2 * time.Second, false},
		"might be, but none is":     {moov(10, mvex()), 0, time.Second, false},
		"another track's, then all": {moov(0, mvex()) + fragment + mk("moof", mk("traf", mk("tfhd", 0, 2))), 0, time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			head := mk("ftyp", "isom") + tt.head
			size := len(head) + tt.rest
			got, more, err := ReadFront(strings.NewReader(head), int64(size))
			if at := strings.LastIndex(head, "moof") - 4; more && at > 0 {
				tt.want = tt.want * time.Duration(size) / time.Duration(at)
			}
			const rounded = time.Microsecond
			if got.Format != MP4 || got.Cut || got.Exact == tt.more || (got.Sound-tt.want).Abs() > rounded || more != tt.more || err != nil {
				t.Errorf("%+v, more %v, %v; want %v", got, more, err, tt.want)
			}
		})
	}
}

func TestHowMuchOfAnMP4IsMissing(t *testing.T) {
	t.Parallel()
	data := load(t, testmedia.Clip(t, testmedia.Spec{Seconds: 8, Flags: []string{"-movflags", "+faststart"}}))
	before := time.Duration(0)
	for _, percent := range []int{99, 75, 50, 25} {
		got := facts(t, data[:len(data)*percent/100])
		if got.Missing < before || got.Missing > got.Sound || percent < 80 && got.Missing == 0 {
			t.Errorf("of %d %% of the file: %+v, missing before %v", percent, got, before)
		}
		before = got.Missing
	}
}

// A missing fragment shows in the index even if the file ends where a fragment does.
func TestMissingFragments(t *testing.T) {
	t.Parallel()
	data := load(t, testmedia.Clip(t, testmedia.Spec{Seconds: 6, Flags: []string{"-movflags", "+dash+global_sidx"}}))
	border := 0
	for b := range (&source{r: bytes.NewReader(data), size: int64(len(data))}).boxes(0, int64(len(data))) {
		if b.kind == "moof" && b.start < int64(len(data)/2) {
			border = int(b.start) - 8
		}
	}
	if got := facts(t, data[:border]); !got.Cut {
		t.Errorf("Read = %+v, want cut", got)
	}
}

// FuzzMP4 walks whatever is given as the boxes of a movie, whose tables the fuzzer finds sooner than behind a sniffer.
func FuzzMP4(f *testing.F) {
	f.Add([]byte(mvhd + track1(onesecond)))
	f.Add([]byte(mvhd + track1(onesecond, mk("edts", mk("elst", 0, 2, 3000, -1, 1<<16, 600, 0, 1<<16)))))
	f.Add([]byte(mvhd + track1(mk("stts", 0, 0)) + mk("mvex", mk("mehd", 0, 6000), mk("trex", 0, 1, 1, 100, 0, 0))))
	f.Fuzz(func(t *testing.T, data []byte) {
		file := []byte(mk("moov", string(data)) + mk("moof", mk("traf", string(data))) + mk("sidx", string(data)))
		for _, front := range []bool{false, true} {
			s := &source{r: bytes.NewReader(file), size: int64(len(file)), front: front}
			if got := s.mp4(); s.err != nil || got.Sound < 0 || got.Missing < 0 || got.Missing > got.Sound {
				t.Errorf("mp4 = %+v, %v", got, s.err)
			}
			if s.steps > maxSteps+1 {
				t.Errorf("%d steps", s.steps)
			}
		}
	})
}
