package ffmpeg

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mp3converter/internal/ffmpeg/container"
	"mp3converter/internal/job"
	"mp3converter/internal/sandbox"
	"mp3converter/internal/testmedia"
)

var (
	mutants = flag.Int("mutants", 200, "how many damaged files to convert")
	program = flag.String("ffmpeg", "ffmpeg", "the program to feed them to")
)

// TestMutants feeds files to ffmpeg that are damaged where it hurts: in their tables, sizes and counts. It may refuse them,
// make of them what it can, crash or hang; what must not happen is anything outside the sandbox.
func TestMutants(t *testing.T) {
	if !everyWay() && *program == "ffmpeg" {
		t.Skip("they are converted with the image's ffmpeg")
	}
	if err := sandbox.Complete(); err != nil {
		t.Skipf("NOT RUN in a whole sandbox: %v", err)
	}
	adopt(t, 1) // whoever gets away becomes our child
	defer adopt(t, 0)
	seeds := breeders(t)
	before := ours(t)
	r := Runner{Path: *program, Scratch: t.TempDir(), Stall: 20 * time.Second, Wall: time.Minute}
	several := forced()
	several.total = 2 * runtime.GOMAXPROCS(0)
	var tally tally
	var all sync.WaitGroup
	numbers := make(chan uint64)
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for n := range numbers {
				data := mutate(rand.New(rand.NewPCG(n, 58)), seeds)
				r := r
				if n%2 == 0 {
					r.Cores = several
				}
				outcome, err := r.digest(t, data)
				tally.count(outcome)
				if outcome == unheardOf || outcome == outside {
					t.Logf("mutant %d: %v", n, err)
				}
				if outcome == outside {
					t.Fail()
				}
			}
		})
	}
	for n := range *mutants {
		numbers <- uint64(n)
	}
	close(numbers)
	all.Wait()
	if after := ours(t); !slices.Equal(before, after) {
		t.Errorf("processes of ours before: %v, after: %v", before, after)
	}
	empty(t, r.Scratch)
	if tally.counts["converted"] == 0 {
		t.Error("none was converted: it is not the files that fail")
	}
	t.Logf("%d mutants: %v; no process, no file left", *mutants, &tally)
}

const (
	unheardOf = "in words nobody knows"
	outside   = "with damage outside"
)

// digest converts, and says in a word or two what came of it. Of an MP4 without its pictures the same must come.
func (r Runner) digest(t *testing.T, data []byte) (string, error) {
	mp3, outcome, err := r.digestFile(t, data)
	spans := container.Sound(bytes.NewReader(data), int64(len(data)))
	if spans == nil || err != nil {
		return outcome, err
	}
	rest := make([]byte, len(data))
	for _, s := range spans {
		copy(rest[s.From:s.To], data[s.From:s.To])
	}
	if less, other, err := r.digestFile(t, rest); other != outcome || err != nil || !bytes.Equal(mp3, less) {
		return outside, fmt.Errorf("with its pictures it %s with %d bytes, without %s with %d, %w", outcome, len(mp3), other, len(less), err)
	}
	return outcome, nil
}

func (r Runner) digestFile(t *testing.T, data []byte) ([]byte, string, error) {
	in := scratch(t, r)
	defer in.Close()
	out := scratch(t, r)
	defer out.Close()
	if _, err := in.Write(data); err != nil {
		t.Fatal(err)
	}
	_, err := r.Convert(t.Context(), in, out, Options{})
	now := make([]byte, len(data)+1)
	if n, _ := in.ReadAt(now, 0); !bytes.Equal(now[:n], data) {
		return nil, outside, errors.New("the video has changed")
	}
	var failure *job.Failure
	switch {
	case err == nil:
		info, err := out.Stat()
		if err != nil {
			t.Fatal(err)
		}
		mp3 := make([]byte, info.Size())
		if _, err := out.ReadAt(mp3, 0); err != nil {
			t.Fatal(err)
		}
		return mp3, "converted", nil
	case errors.As(err, &failure):
		return nil, "failed as " + string(failure.Reason), nil
	case errors.Is(err, job.ErrTransient): // the scratch folder or the sandbox
		return nil, outside, err
	}
	for text, outcome := range map[string]string{
		"no sign of life": "hung", "ended by signal": "crashed", "out of memory": "out of memory",
	} {
		if strings.Contains(err.Error(), text) {
			return nil, outcome, nil
		}
	}
	return nil, unheardOf, err
}

type tally struct {
	sync.Mutex
	counts map[string]int
}

func (t *tally) count(what string) {
	t.Lock()
	defer t.Unlock()
	if t.counts == nil {
		t.counts = map[string]int{}
	}
	t.counts[what]++
}

func (t *tally) String() string {
	var all []string
	for _, what := range slices.Sorted(maps.Keys(t.counts)) {
		all = append(all, fmt.Sprintf("%d %s", t.counts[what], what))
	}
	return strings.Join(all, ", ")
}

func adopt(t *testing.T, yes uintptr) {
	t.Helper()
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, yes, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
}

// ours are the processes whose parent we are.
func ours(t *testing.T) []string {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, path := range stats {
		stat, _ := os.ReadFile(path) // it may have ended
		_, rest, _ := strings.Cut(string(stat), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == fmt.Sprint(os.Getpid()) {
			found = append(found, path)
		}
	}
	return found
}

// breeders are what is mutated: one small clip of each kind.
func breeders(t *testing.T) [][]byte {
	t.Helper()
	var all [][]byte
	for _, s := range []testmedia.Spec{
		{}, {Flags: []string{"-movflags", "+faststart"}}, {Flags: []string{"-movflags", "+frag_keyframe+empty_moov"}},
		{Flags: []string{"-movflags", "+dash+global_sidx"}}, {Ext: "mov", Audio: "pcm_s16le"}, {Audio: "alac"},
		{Ext: "mkv"}, {Ext: "mkv", Audio: "flac"}, {Ext: "webm"}, {Ext: "webm", Audio: "libvorbis"}, {Ext: "webm", Flags: []string{"-live", "1"}},
		{Ext: "avi"}, {Ext: "avi", Audio: "ac3"}, {Ext: "ts"}, {Ext: "ts", Audio: "mp2"}, {Ext: "m2ts", Audio: "ac3"}, {Ext: "flv"}, {Ext: "wmv"},
		{Ext: "ogg"}, {Ext: "ogg", Audio: "libopus"}, {Ext: "flac"}, {Ext: "wav"}, {Ext: "mp3"}, {Ext: "aac"},
	} {
		s.Seconds = 1
		all = append(all, read(t, testmedia.Clip(t, s)))
	}
	return all
}

// landmarks stand before sizes, counts and tables.
var landmarks = []string{
	"moov", "mvhd", "tkhd", "mdhd", "hdlr", "stsd", "stts", "stsc", "stsz", "stco", "co64", "elst", "esds", "trex", "moof", "tfhd", "trun", "sidx", "mehd", "mdat",
	"\x18\x53\x80\x67", "\x15\x49\xA9\x66", "\x2A\xD7\xB1", "\x16\x54\xAE\x6B", "\xAE", "\x1F\x43\xB6\x75", "\xA3", "\xA0", "\x1C\x53\xBB\x6B", "\x63\xA2",
	"RIFF", "LIST", "avih", "strh", "strf", "idx1", "indx", "movi", "fmt ", "data",
	"\x47\x40\x00", "\x47\x50\x00", "\x00\x00\x01\xC0", "\x00\x00\x01\xE0", "\x00\xB0", "\x02\xB0",
	"FLV", "onMetaData", "OggS", "vorbis", "OpusHead", "fLaC", "ID3", "Xing", "Info", "LAME", "\xFF\xF1", "\xFF\xFB",
	"\xA1\xDC\xAB\x8C", "\x91\x07\xDC\xB7", "\x75\xB2\x2A\x36", "\x33\x26\xB2\x75",
}

// mutate makes a new file of old ones, the same for the same random numbers.
func mutate(r *rand.Rand, seeds [][]byte) []byte {
	data := slices.Clone(seeds[r.IntN(len(seeds))])
	for range 1 + r.IntN(6) {
		if len(data) < 16 {
			break
		}
		at := spot(r, data)
		switch r.IntN(9) {
		case 0: // bits
			for range 1 + r.IntN(16) {
				data[spot(r, data)] ^= 1 << r.IntN(8)
			}
		case 1: // a number
			copy(data[at:], number(r, len(data)))
		case 2: // noise
			for i := range data[at:min(len(data), at+1+r.IntN(256))] {
				data[at+i] = byte(r.Uint32())
			}
		case 3: // cut off
			data = data[:at]
		case 4: // cut out
			data = slices.Delete(data, at, min(len(data), at+1+r.IntN(1<<10)))
		case 5: // said twice, or more often
			part := slices.Clone(data[at:min(len(data), at+1+r.IntN(1<<10))])
			data = slices.Insert(data, at, bytes.Repeat(part, 1+r.IntN(40))...)
		case 6: // a part of another
			other := seeds[r.IntN(len(seeds))]
			from := spot(r, other)
			data = slices.Insert(data, at, other[from:min(len(other), from+1+r.IntN(4<<10))]...)
		case 7: // another's rest
			other := seeds[r.IntN(len(seeds))]
			data = append(data[:at], other[spot(r, other):]...)
		case 8: // boxes in boxes in boxes
			kind := landmarks[r.IntN(20)]
			nest := bytes.Repeat(slices.Concat([]byte{0, 0, 0xFF, 0xFF}, []byte(kind)), 1+r.IntN(10_000))
			data = slices.Insert(data, at, nest...)
		}
	}
	return data
}

// spot is a place in the file: mostly near a landmark, else near the beginning or the end, where heads and tables are.
func spot(r *rand.Rand, data []byte) int {
	at := r.IntN(len(data))
	switch r.IntN(4) {
	case 0, 1:
		for range 8 {
			if found := bytes.Index(data[at:], []byte(landmarks[r.IntN(len(landmarks))])); found >= 0 {
				return min(len(data)-1, max(0, at+found-8+r.IntN(48)))
			}
			at /= 2
		}
	case 2:
		return r.IntN(min(len(data), 512))
	}
	return at
}

// number is one that programs stumble over, in some width and either byte order.
func number(r *rand.Rand, size int) []byte {
	values := []uint64{0, 1, 2, 7, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF, 1 << 62, 1<<63 - 1, 1 << 63, 1<<64 - 1, uint64(size), uint64(size) + 1}
	n, width := values[r.IntN(len(values))], 1<<r.IntN(4)
	b := make([]byte, width)
	for i := range b {
		b[i] = byte(n >> (8 * i))
	}
	if r.IntN(3) > 0 {
		slices.Reverse(b)
	}
	return b
}
