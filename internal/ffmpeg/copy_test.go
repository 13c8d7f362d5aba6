package ffmpeg

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"mp3converter/internal/ffmpeg/container"
	"mp3converter/internal/job"
	layer3 "mp3converter/internal/mp3"
	"mp3converter/internal/testmedia"
)

// muxed is an MP3 of so many bits per second in every container that can say so, and the MP3 itself.
func muxed(tb testing.TB, rate int, layout string, kbit int) (mp3 string, videos map[string]string) {
	tb.Helper()
	sound := fmt.Sprintf("anoisesrc=d=2:c=pink:a=0.3:r=%d,aformat=channel_layouts=%s", rate, layout)
	mp3 = testmedia.Make(tb, "mp3", "-f", "lavfi", "-i", sound, "-c:a", "libmp3lame", "-b:a", fmt.Sprintf("%dk", kbit))
	still := testmedia.Make(tb, "png", "-f", "lavfi", "-i", "testsrc=s=640x480", "-frames:v", "1")
	videos = map[string]string{"MP3": mp3}
	for name, c := range map[string]struct {
		ext, picture string
		flags        []string
	}{
		"MP4":             {"mp4", "mpeg4", nil},
		"MP4, fragmented": {"mp4", "mpeg4", []string{"-movflags", "+frag_keyframe+empty_moov"}},
		"MOV":             {"mov", "mpeg4", nil}, "MKV": {"mkv", "mpeg4", nil}, "AVI": {"avi", "mpeg4", nil}, "FLV": {"flv", "flv", nil},
		"MP3 without a header":          {"mp3", "", []string{"-write_xing", "0"}},
		"MP3 with tags at both ends":    {"mp3", "", []string{"-write_id3v1", "1", "-metadata", "title=theirs", "-metadata", "artist=theirs"}},
		"MP3 with a picture on its tag": {"mp3", "copy", []string{"-disposition:v", "attached_pic"}},
	} {
		if c.ext == "flv" && rate != 44100 && rate != 22050 {
			continue // it has no others
		}
		args := []string{"-i", mp3}
		switch c.picture {
		case "":
		case "copy":
			args = append(args, "-i", still, "-map", "1:v", "-c:v", "copy")
		default:
			args = append(args, "-f", "lavfi", "-i", "testsrc=s=64x48:r=10:d=2", "-map", "1:v", "-c:v", c.picture)
		}
		args = slices.Concat(args, []string{"-map", "0:a", "-c:a", "copy", "-fflags", "+bitexact"}, c.flags)
		videos[name] = testmedia.Make(tb, c.ext, args...)
	}
	return mp3, videos
}

func TestAnMP3WithinIsCopied(t *testing.T) {
	t.Parallel()
	for _, form := range []struct {
		rate   int
		layout string
		kbit   int
	}{{44100, "stereo", 192}, {48000, "mono", 64}, {22050, "stereo", 64}} {
		mp3, videos := muxed(t, form.rate, form.layout, form.kbit)
		want := whole(t, mp3)
		for name, video := range videos {
			t.Run(fmt.Sprintf("%s of %d Hz, %s", name, form.rate, form.layout), func(t *testing.T) {
				t.Parallel()
				got, result, err := convert(t, Runner{}, video, Options{Profile: job.High, Title: "ours"})
				if err != nil {
					t.Fatal(err)
				}
				if !result.Copied {
					t.Fatal("it was encoded")
				}
				if !bytes.Equal(whole(t, got), want) {
					t.Error("the frames differ from those of the MP3 within")
				}
				if a, b := samplesOf(t, got), samplesOf(t, video); !bytes.Contains(b, a) || len(b)-len(a) > 2*2*2000 {
					t.Errorf("%d bytes of samples, not a part of the video's %d", len(a), len(b))
				}
				checkMP3(t, got, result, 2*time.Second)
				encoded, err := encoded(t, Runner{}, video, Options{Profile: job.High})
				if err != nil {
					t.Fatal(err)
				}
				if diff := (result.Duration - encoded.Duration).Abs(); diff > 1152*time.Second/time.Duration(form.rate) {
					t.Errorf("%v of sound, encoded %v", result.Duration, encoded.Duration)
				}
				if got := testmedia.Probe(t, got, "stream=codec_type:format_tags=title,artist"); got != "audio,ours" {
					t.Errorf("it holds %s, want nothing but sound and our title", got)
				}
			})
		}
	}
}

// whole are an MP3's frames, its header left out.
func whole(tb testing.TB, path string) []byte {
	tb.Helper()
	r := layer3.NewReader(bytes.NewReader(read(tb, path)))
	var all []byte
	for {
		f, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, f...)
	}
}

// samplesOf decodes the first audio track as it is.
func samplesOf(tb testing.TB, path string) []byte {
	tb.Helper()
	out, err := exec.CommandContext(tb.Context(), testmedia.FFmpeg, "-v", "error", "-i", path, "-map", "0:a:0", "-f", "s16le", "-").Output()
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// encoded is convert as it would be if nothing were ever copied.
func encoded(tb testing.TB, r Runner, path string, o Options) (Result, error) {
	tb.Helper()
	in := opened(tb, path)
	defer in.Close()
	out := scratch(tb, r)
	defer out.Close()
	r = r.withDefaults()
	video, err := r.examine(in)
	if err != nil {
		return Result{}, err
	}
	return r.encode(tb.Context(), in, out, video, o)
}

func TestWhatIsNotCopied(t *testing.T) {
	t.Parallel()
	_, modest := muxed(t, 44100, "stereo", 192)
	large, _ := muxed(t, 32000, "stereo", 320)
	odd := read(t, modest["MP3"])
	for name, tt := range map[string]struct {
		video   string
		profile job.Profile
		want    bool
	}{
		"high":                             {large, job.High, true},
		"best":                             {large, job.Best, true},
		"standard":                         {modest["MP4"], job.Standard, true},
		"no profile":                       {modest["MP4"], "", true},
		"standard, of more than 192 kb/s":  {large, job.Standard, false},
		"cbr128":                           {modest["MP4"], job.CBR128, false},
		"voice":                            {modest["MP4"], job.Voice, false},
		"AAC":                              {testmedia.Clip(t, testmedia.Spec{}), job.High, false},
		"layer II in AVI":                  {testmedia.Clip(t, testmedia.Spec{Ext: "avi", Audio: "mp2"}), job.High, false},
		"layer II in MP4":                  {testmedia.Clip(t, testmedia.Spec{Audio: "mp2"}), job.High, false},
		"layer II":                         {testmedia.Clip(t, testmedia.Spec{Ext: "mp3", Audio: "mp2", Flags: []string{"-f", "mp2"}}), job.High, false},
		"MPEG-TS, which does not say":      {testmedia.Clip(t, testmedia.Spec{Ext: "ts", Audio: "libmp3lame"}), job.High, false},
		"the first track is AAC":           {testmedia.Clip(t, testmedia.Spec{Pitch: []float64{440, 880}, Flags: []string{"-c:a:1", "libmp3lame"}}), job.High, false},
		"two MP3s, one after the other":    {testmedia.File(t, ".mp3", append(slices.Clone(odd), odd...)), job.High, false},
		"two of other rates":               {testmedia.File(t, ".mp3", append(slices.Clone(frames(t, modest["MP3"])), frames(t, large)...)), job.High, false},
		"begun in the middle":              {testmedia.File(t, ".mp3", odd[20_000:]), job.High, false},
		"a hole":                           {testmedia.File(t, ".mp3", slices.Delete(slices.Clone(odd), 20_000, 21_000)), job.High, false},
		"a picture's gap in MKV":           {testmedia.Make(t, "mkv", "-f", "lavfi", "-i", "sine=d=4,asetpts='if(lt(T,2),PTS,PTS+2/TB)'", "-c:a", "libmp3lame"), job.High, false},
		"a list of edits that leaves half": {edited(t, modest["MP4"]), job.High, true}, // whole frames of it
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := convert
			if name == "two of other rates" { // at a change ffmpeg gives LAME half a frame, but only if one process does it all
				run = convertFile
			}
			mp3, result, err := run(t, Runner{}, tt.video, Options{Profile: tt.profile})
			if err != nil {
				t.Fatal(err)
			}
			if result.Copied != tt.want {
				t.Errorf("copied %v, want %v", result.Copied, tt.want)
			}
			checkMP3(t, mp3, result, result.Duration)
		})
	}
}

// What encoding writes over must not go on behind it.
func TestAnOddCopyLeavesNothing(t *testing.T) {
	t.Parallel()
	mp3, _ := muxed(t, 44100, "stereo", 192)
	in := opened(t, testmedia.File(t, ".mp3", slices.Delete(read(t, mp3), 20_000, 21_000)))
	defer in.Close()
	r := Runner{Scratch: t.TempDir()}.withDefaults()
	out := scratch(t, r)
	defer out.Close()
	video, err := r.examine(in)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.copy(t.Context(), in, out, video, Options{Profile: job.High}); !errors.Is(err, errOdd) {
		t.Errorf("copy: %v, want %v", err, errOdd)
	}
	if info, err := out.Stat(); err != nil || info.Size() > 0 {
		t.Errorf("%d bytes are left, %v", info.Size(), err)
	}
}

// edited is an MP4 whose sound's list of edits plays half of it only.
func edited(tb testing.TB, path string) string {
	tb.Helper()
	mp4 := slices.Clone(read(tb, path))
	at := bytes.LastIndex(mp4, []byte("elst"))
	if at < 0 {
		tb.Fatal("no list of edits")
	}
	length := mp4[at+12:]
	binary.BigEndian.PutUint32(length, binary.BigEndian.Uint32(length)/2)
	return testmedia.File(tb, ".mp4", mp4)
}

// What copying accepts encoding must accept: a copy decodes nothing, and so sees no damage that a decoder stumbles over.
func TestACopyChangesNoVerdict(t *testing.T) {
	t.Parallel()
	ourDoing(t)
	var seeds [][]byte
	for _, layout := range []string{"mono", "stereo"} {
		_, videos := muxed(t, 44100, layout, 128)
		for _, video := range videos {
			seeds = append(seeds, read(t, video))
		}
	}
	slices.SortFunc(seeds, func(a, b []byte) int { return cmp.Or(cmp.Compare(len(a), len(b)), bytes.Compare(a, b)) })
	r := Runner{Path: *program, Scratch: t.TempDir(), Stall: 20 * time.Second, Wall: time.Minute}
	var tally tally
	var all sync.WaitGroup
	numbers := make(chan uint64)
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for n := range numbers {
				random := rand.New(rand.NewPCG(n, 6))
				data := mutate(random, seeds)
				if n%2 == 0 { // in the frames, not in the tables
					data = slices.Clone(seeds[random.IntN(len(seeds))])
					for range 1 + random.IntN(40) {
						data[random.IntN(len(data))] ^= 1 << random.IntN(8)
					}
				}
				tally.count(compare(t, r, n, data))
			}
		})
	}
	for n := range min(*mutants, 40) + max(0, *mutants-200) {
		numbers <- uint64(n)
	}
	close(numbers)
	all.Wait()
	if tally.counts["copied"] == 0 || tally.counts["encoded"] == 0 {
		t.Error("one way was not taken at all")
	}
	t.Log(&tally)
}

// compare converts the data in both ways and says which Convert has taken.
func compare(t *testing.T, r Runner, n uint64, data []byte) string {
	path := testmedia.File(t, ".bin", data)
	_, result, err := convertFile(t, r, path, Options{Profile: job.High}) // that all ways of encoding agree is shown elsewhere
	if !result.Copied {
		if err != nil {
			return "refused"
		}
		return "encoded"
	}
	encoded, err := encoded(t, r, path, Options{Profile: job.High})
	switch {
	case err != nil:
		t.Errorf("mutant %d: copied, and encoding it fails: %v", n, err)
	case (result.Duration - encoded.Duration).Abs() > 100*time.Millisecond:
		t.Errorf("mutant %d: %v of sound copied, encoded %v", n, result.Duration, encoded.Duration)
	}
	return "copied"
}

func TestTrust(t *testing.T) {
	t.Parallel()
	exact := container.Facts{Sound: 10 * time.Second, Exact: true}
	for name, tt := range map[string]struct {
		video   container.Facts
		seconds float64
		reach   float64
		bytes   int64
		log     string
		want    bool
	}{
		"all of it":                  {video: exact, seconds: 10, reach: 10, want: true},
		"a frame more":               {video: exact, seconds: 10.026, reach: 10.026, want: true},
		"nothing declared":           {seconds: 10, reach: 10, want: true},
		"a harmless word":            {video: exact, seconds: 10, reach: 10, log: "[error] Application provided invalid, non monotonically increasing dts", want: true},
		"less than declared":         {video: exact, seconds: 9.7, reach: 9.7},
		"more than declared":         {video: exact, seconds: 10.3, reach: 10.3},
		"a gap":                      {seconds: 9.7, reach: 10},
		"more than there was to see": {seconds: 10.3, reach: 10},
		"cut":                        {video: container.Facts{Sound: 10 * time.Second, Exact: true, Cut: true}, seconds: 10, reach: 10},
		"cut, as ffmpeg says":        {video: exact, seconds: 10, reach: 10, log: cutWarning},
		"damage":                     {video: exact, seconds: 10, reach: 10, log: jumpWarning},
		"a packet that is no frame":  {video: exact, seconds: 10, reach: 10, log: "[mp3 @ 0x5] [warning] Audio packet of size 253 (starting with 49443304...) is invalid, writing it anyway."},
		"as many bytes as allowed":   {video: exact, seconds: 10, reach: 10, bytes: 10_000, want: true},
		"more bytes than allowed":    {video: exact, seconds: 10, reach: 10, bytes: 10_001},
	} {
		err := Runner{}.withDefaults().trust(outcome{
			video: video{Facts: tt.video}, findings: logged(tt.log), reach: seconds(tt.reach), ended: true,
			mp3: mp3File{container.Facts{Format: container.MP3, Sound: seconds(tt.seconds), Exact: true}, tt.bytes},
		}, 8000)
		if (err == nil) != tt.want {
			t.Errorf("%s: %v, want trust %v", name, err, tt.want)
		}
	}
}
