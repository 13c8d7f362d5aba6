package container

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mp3converter/internal/testmedia"
)

// clips are one of each kind of file, and what is to be read of them.
var clips = map[string]struct {
	spec  testmedia.Spec
	want  Format
	sound bool // it declares how long it is
	exact bool
	cut   bool // a half of it can be told
}{
	"MP4, index last":         {testmedia.Spec{}, MP4, true, true, true},
	"MP4, index first":        {testmedia.Spec{Flags: []string{"-movflags", "+faststart"}}, MP4, true, true, true},
	"MP4, fragmented":         {testmedia.Spec{Flags: []string{"-movflags", "+frag_keyframe+empty_moov"}}, MP4, true, true, true},
	"MP4, partly fragmented":  {testmedia.Spec{Flags: []string{"-movflags", "+frag_keyframe"}}, MP4, true, true, true},
	"MP4, fragments and sidx": {testmedia.Spec{Flags: []string{"-movflags", "+dash+global_sidx"}}, MP4, true, true, true},
	"MOV":                     {testmedia.Spec{Ext: "mov"}, MP4, true, true, true},
	"M4A":                     {testmedia.Spec{Ext: "m4a"}, MP4, true, true, true},
	"MKV":                     {testmedia.Spec{Ext: "mkv"}, Matroska, true, false, true},
	"WebM":                    {testmedia.Spec{Ext: "webm"}, Matroska, true, false, true},
	"WebM, live":              {testmedia.Spec{Ext: "webm", Flags: []string{"-live", "1"}}, Matroska, false, false, false},
	"AVI":                     {testmedia.Spec{Ext: "avi"}, AVI, true, true, true},
	"FLV":                     {testmedia.Spec{Ext: "flv"}, FLV, true, false, true},
	"MPEG-TS":                 {testmedia.Spec{Ext: "ts"}, MPEGTS, false, false, true},
	"M2TS":                    {testmedia.Spec{Ext: "m2ts"}, MPEGTS, false, false, true},
	"WMV":                     {testmedia.Spec{Ext: "wmv"}, ASF, true, false, true},
	"Ogg":                     {testmedia.Spec{Ext: "ogg"}, Ogg, false, false, true},
	"WAV":                     {testmedia.Spec{Ext: "wav"}, WAV, true, true, true},
	"MP3":                     {testmedia.Spec{Ext: "mp3"}, MP3, true, true, true},
	"MP3 without a header":    {testmedia.Spec{Ext: "mp3", Flags: []string{"-write_xing", "0"}}, MP3, true, true, false},
	"MP2":                     {testmedia.Spec{Ext: "mp3", Audio: "mp2", Flags: []string{"-f", "mp2"}}, MP3, true, true, false},
	"FLAC":                    {testmedia.Spec{Ext: "flac"}, FLAC, true, true, false}, // by ffmpeg: it declares its length
	"AAC":                     {testmedia.Spec{Ext: "aac"}, ADTS, true, true, false},
}

func TestWholeFiles(t *testing.T) {
	t.Parallel()
	for name, tt := range clips {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := facts(t, load(t, testmedia.Clip(t, tt.spec)))
			if got.Format != tt.want || got.Exact != tt.exact || (got.Sound > 0) != tt.sound {
				t.Errorf("Read = %+v, want %s, exact %v, a length %v", got, tt.want, tt.exact, tt.sound)
			}
			if got.Cut || got.Locked || got.Missing != 0 {
				t.Errorf("Read = %+v, want a whole file", got)
			}
			if tt.sound && (got.Sound < 1900*time.Millisecond || got.Sound > 2300*time.Millisecond) {
				t.Errorf("length %v, want 2 s", got.Sound)
			}
		})
	}
}

func TestForms(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		spec testmedia.Spec
		want Form
	}{
		"WAV":                   {testmedia.Spec{Ext: "wav", Rate: 11025, Layout: "5.1"}, Form{6, 11025}},
		"AVI":                   {testmedia.Spec{Ext: "avi", Audio: "pcm_s16le", Rate: 96000, Layout: "stereo"}, Form{2, 96000}},
		"AVI of MP3":            {testmedia.Spec{Ext: "avi", Rate: 32000}, Form{1, 32000}},
		"WMV":                   {testmedia.Spec{Ext: "wmv", Layout: "stereo"}, Form{2, 44100}},
		"MOV of PCM":            {testmedia.Spec{Ext: "mov", Audio: "pcm_s16le", Layout: "stereo"}, Form{2, 44100}},
		"MOV of PCM, version 2": {testmedia.Spec{Ext: "mov", Audio: "pcm_s16le", Rate: 192000, Layout: "5.1"}, Form{6, 192000}},
		"MOV of AAC":            {testmedia.Spec{Ext: "mov"}, Form{}},
		"MKV of PCM":            {testmedia.Spec{Ext: "mkv", Audio: "pcm_s24le", Rate: 96000, Layout: "stereo"}, Form{2, 96000}},
		"MKV of AAC":            {testmedia.Spec{Ext: "mkv"}, Form{}},
		"Ogg of Vorbis":         {testmedia.Spec{Ext: "ogg", Rate: 22050, Layout: "stereo"}, Form{2, 22050}},
		"Ogg of Opus":           {testmedia.Spec{Ext: "ogg", Audio: "libopus", Layout: "stereo"}, Form{2, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := facts(t, load(t, testmedia.Clip(t, tt.spec))).Form; got != tt.want {
				t.Errorf("Form = %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestHalfFiles(t *testing.T) {
	t.Parallel()
	for name, tt := range clips {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := load(t, testmedia.Clip(t, tt.spec))
			got := facts(t, data[:len(data)/2/188*188+100])
			if got.Cut != tt.cut {
				t.Errorf("Read = %+v, want cut %v", got, tt.cut)
			}
			if got.Format != tt.want {
				t.Errorf("Read = %+v, want %s", got, tt.want)
			}
		})
	}
}

func TestTagsInFront(t *testing.T) {
	t.Parallel()
	tag := append([]byte("ID3\x04\x00\x00\x00\x00\x02\x00"), make([]byte, 256)...)
	for name, want := range map[string]Format{"mp3": MP3, "flac": FLAC, "aac": ADTS} {
		data := load(t, testmedia.Clip(t, testmedia.Spec{Ext: name}))
		bare := facts(t, data)
		for n, data := range map[string][]byte{"one tag": append(bytes.Clone(tag), data...), "two": append(bytes.Repeat(tag, 2), data...)} {
			got := facts(t, data)
			if got.Format != want {
				t.Errorf("%s behind %s is %q", name, n, got.Format)
			}
			if got != bare {
				t.Errorf("%s behind %s: %+v, bare %+v", name, n, got, bare)
			}
		}
	}
}

func TestAStreamThatBeginsInAFrame(t *testing.T) {
	t.Parallel()
	for ext, want := range map[string]Format{"mp3": MP3, "aac": ADTS, "ts": MPEGTS} {
		spec := testmedia.Spec{Ext: ext}
		if ext == "mp3" {
			spec.Flags = []string{"-write_xing", "0", "-id3v2_version", "0"}
		}
		if got := facts(t, load(t, testmedia.Clip(t, spec))[100:]); got.Format != want {
			t.Errorf("%s: %+v", ext, got)
		}
	}
}

// Frames are counted where nothing declares how many there should be; what lies between them was sound once.
func TestDamageInAStreamCountsAsSound(t *testing.T) {
	t.Parallel()
	for _, spec := range []testmedia.Spec{{Ext: "aac", Seconds: 8}, {Ext: "mp3", Seconds: 8, Flags: []string{"-write_xing", "0"}}} {
		data := load(t, testmedia.Clip(t, spec))
		for i := len(data) * 2 / 5; i < len(data)*3/5; i++ {
			data[i] = byte(i * i >> 3)
		}
		if got := facts(t, data); got.Sound < 7500*time.Millisecond || got.Sound > 8500*time.Millisecond {
			t.Errorf("%s: %+v, want about 8 s", spec.Ext, got)
		}
	}
}

func load(tb testing.TB, path string) []byte {
	tb.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func facts(tb testing.TB, data []byte) Facts {
	tb.Helper()
	got, err := Read(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		tb.Fatal(err)
	}
	return got
}

// Files made to hang, to eat memory or to lie. None may be claimed to be longer or shorter than it can be known.
func TestHostileFiles(t *testing.T) {
	t.Parallel()
	deep := mk("free")
	for len(deep) < 100_000 {
		deep = mk("moov", deep)
	}
	for name, tt := range map[string]struct {
		data string
		want Facts
	}{
		"boxes of size 0":              {mk("ftyp", "isom") + strings.Repeat("\x00\x00\x00\x00free", 1000), Facts{Format: MP4}},
		"boxes of size 4":              {mk("ftyp", "isom") + strings.Repeat("\x00\x00\x00\x04free", 1000), Facts{Format: MP4}},
		"a box of 2^64 bytes":          {mk("ftyp", "isom") + "\x00\x00\x00\x01mdat" + strings.Repeat("\xff", 8), Facts{Format: MP4, Cut: true}},
		"a large size that is small":   {mk("ftyp", "isom") + "\x00\x00\x00\x01mdat\x00\x00\x00\x00\x00\x00\x00\x07", Facts{Format: MP4}},
		"boxes in boxes":               {mk("ftyp", "isom") + deep, Facts{Format: MP4}},
		"half a box":                   {mk("ftyp", "isom") + "\x00\x00", Facts{Format: MP4}},
		"a moov that ends in the next": {mk("ftyp", "isom") + "\x00\x00\xff\xffmoov" + mvhd, Facts{Format: MP4, Cut: true}},
		"a maze of boxes":              {mk("ftyp", "isom") + strings.Repeat(mk("free"), maxSteps) + mk("mdat")[:4], Facts{Format: MP4}},
		"EBML of unknown sizes":        {"\x1A\x45\xDF\xA3\x80" + strings.Repeat("\x18\x53\x80\x67\xFF", 1000), Facts{Format: Matroska}},
		"EBML of long sizes":           {"\x1A\x45\xDF\xA3\x80\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xfe", Facts{Format: Matroska, Cut: true}},
		"EBML with a duration of NaN": {
			"\x1A\x45\xDF\xA3\x80\x18\x53\x80\x67\x91\x15\x49\xA9\x66\x8c\x44\x89\x84\x7f\xc0\x00\x00\x2A\xD7\xB1\x80\x00", Facts{Format: Matroska},
		},
		"EBML with a duration of infinity": {
			"\x1A\x45\xDF\xA3\x80\x18\x53\x80\x67\x8c\x15\x49\xA9\x66\x87\x44\x89\x84\x7f\x80\x00\x00", Facts{Format: Matroska, Sound: math.MaxInt64},
		},
		"an AVI in itself":        {"RIFF\x00\x00\x00\x00AVI " + strings.Repeat("LIST\x04\x00\x00\x00hdrl", 1000), Facts{Format: AVI}},
		"a WAV of no rate":        {"RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00" + strings.Repeat("\x00", 12) + "data\x10\x00\x00\x00" + strings.Repeat("\x00", 16), Facts{Format: WAV, Form: Form{Channels: 1}}},
		"an FLV without tags":     {"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00", Facts{Format: FLV, Cut: true}},
		"an FLV of a far start":   {"FLV\x01\x05\xff\xff\xff\xff", Facts{Format: FLV, Cut: true}},
		"a page of Ogg":           {"OggS\x00", Facts{Format: Ogg, Cut: true}},
		"an ASF of empty objects": {asfHeader + strings.Repeat("\xff", 14) + strings.Repeat("\x00", 1000), Facts{Format: ASF}},
		"a FLAC of no rate":       {"fLaC" + strings.Repeat("\x00", 10) + "\x00\x00\x0f\xff\xff\xff\xff\xff", Facts{Format: FLAC}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, facts(t, []byte(tt.data))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNoContainer(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		data string
		want error
	}{
		"nothing":          {"", ErrEmpty},
		"a byte":           {"\xff", ErrUnknown},
		"text":             {"#EXTM3U\n#EXTINF:2,\n/etc/passwd\n", ErrUnknown},
		"text with a box":  {"    free beer\n", ErrUnknown},
		"one sync byte":    {strings.Repeat("G", 2), ErrUnknown},
		"a lone header":    {"\xff\xfb\x90\x64" + strings.Repeat("\x00", 5000), ErrUnknown},
		"two lone headers": {"\xff\xfb\x90\x64" + strings.Repeat("\x00", 413) + "\xff\xfb\x90\x64" + strings.Repeat("\x00", 5000), ErrUnknown},
		"tags only":        {"ID3\x04\x00\x00\x00\x00\x00\x00", ErrUnknown},
	} {
		if got, err := Read(strings.NewReader(tt.data), int64(len(tt.data))); !errors.Is(err, tt.want) {
			t.Errorf("%s: %+v, %v, want %v", name, got, err, tt.want)
		}
	}
}

// broken fails from a certain byte on, as a bad disk does.
type broken struct {
	data io.ReaderAt
	good int64
}

var errDisk = errors.New("input/output error")

func (b broken) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > b.good {
		return 0, errDisk
	}
	return b.data.ReadAt(p, off)
}

func TestAFailingReadIsNoFact(t *testing.T) {
	t.Parallel()
	data := load(t, testmedia.Clip(t, testmedia.Spec{}))
	for _, good := range []int64{0, 40, int64(len(data)) * 9 / 10, int64(len(data)) - 1000} {
		if got, err := Read(broken{bytes.NewReader(data), good}, int64(len(data))); !errors.Is(err, errDisk) {
			t.Errorf("reading fails at %d: %+v, %v", good, got, err)
		}
	}
	if got, err := Read(bytes.NewReader(data[:100]), int64(len(data))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a file shorter than said: %+v, %v", got, err)
	}
}

func FuzzRead(f *testing.F) {
	for _, tt := range clips {
		tt.spec.Seconds = 1
		data := load(f, testmedia.Clip(f, tt.spec))
		f.Add(data)
		f.Add(data[:len(data)/2])
	}
	f.Add([]byte(mk("ftyp", "isom") + mk("moov", mvhd+track1(onesecond, mk("edts", mk("elst", 0, 1, 300, 100, 1<<16)))) + mk("mdat", "sound")))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := Read(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			if !errors.Is(err, ErrEmpty) && !errors.Is(err, ErrUnknown) {
				t.Errorf("Read: %v", err)
			}
			return
		}
		if got.Sound < 0 || got.Missing < 0 || got.Missing > got.Sound || got.Exact && got.Sound == 0 || got.Format == "" {
			t.Errorf("Read = %+v", got)
		}
	})
}
