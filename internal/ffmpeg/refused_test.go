package ffmpeg

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"mp3converter/internal/ffmpeg/container"
	"mp3converter/internal/job"
	"mp3converter/internal/sandbox"
	"mp3converter/internal/testmedia"
)

func TestHalfAFileIsRefused(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]testmedia.Spec{
		"MP4, index last":                {},
		"MP4, index first":               {Flags: []string{"-movflags", "+faststart"}},
		"MP4, fragmented":                {Flags: []string{"-movflags", "+frag_keyframe+empty_moov+default_base_moof"}},
		"MP4, partly fragmented":         {Flags: []string{"-movflags", "+frag_keyframe"}},
		"MP4, DASH with a segment index": {Flags: []string{"-movflags", "+dash+global_sidx"}},
		"M4A":                            {Ext: "m4a"},
		"MOV":                            {Ext: "mov"},
		"MOV of PCM, index first":        {Ext: "mov", Audio: "pcm_s16le", Flags: []string{"-movflags", "+faststart"}},
		"MKV":                            {Ext: "mkv"},
		"WebM":                           {Ext: "webm"},
		"WebM, live":                     {Ext: "webm", Flags: []string{"-live", "1"}},
		"AVI of MP3":                     {Ext: "avi"},
		"AVI of PCM":                     {Ext: "avi", Audio: "pcm_s16le"},
		"FLV":                            {Ext: "flv"},
		"MPEG-TS":                        {Ext: "ts"},
		"WMV":                            {Ext: "wmv"},
		"MP3":                            {Ext: "mp3"},
		"WAV":                            {Ext: "wav"},
		"FLAC":                           {Ext: "flac"},
		"Ogg of Vorbis":                  {Ext: "ogg"},
		"Ogg of Opus":                    {Ext: "ogg", Audio: "libopus"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec.Seconds = 4
			_, _, err := convert(t, Runner{}, testmedia.Cut(t, testmedia.Clip(t, spec), 0.5003), Options{})
			detail := reason(t, err, job.ReasonTruncated)
			if !regexp.MustCompile(`^(\d\.\d of 4\.\d s|the end of the file is missing)$`).MatchString(detail) {
				t.Errorf("detail %q says nothing", detail)
			}
		})
	}
}

// What the package comment admits: nobody can tell these from short recordings.
func TestHalfOfAStreamIsAStream(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		spec   testmedia.Spec
		packet int // bytes: where to cut
	}{
		"MPEG-TS between packets": {testmedia.Spec{Ext: "ts"}, 188},
		"MP3 without a header":    {testmedia.Spec{Ext: "mp3", Flags: []string{"-write_xing", "0"}}, 1},
		"AAC without a container": {testmedia.Spec{Ext: "aac"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.spec.Seconds = 4
			data := read(t, testmedia.Clip(t, tt.spec))
			half := len(data) / 2 / tt.packet * tt.packet
			mp3, result, err := convert(t, Runner{}, testmedia.File(t, ".bin", data[:half]), Options{})
			if err != nil {
				t.Fatal(err)
			}
			checkMP3(t, mp3, result, result.Duration)
			if result.Duration < time.Second || result.Duration > 3*time.Second {
				t.Errorf("half of 4 s gives %v", result.Duration)
			}
		})
	}
}

func read(tb testing.TB, path string) []byte {
	tb.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// What follows the sound, as a cut-off index or the last picture, may be missing.
func TestAMissingEndWithoutSoundIsForgiven(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]testmedia.Spec{
		"pictures beyond the sound in MP4": {Seconds: 8, Sound: 2, Flags: []string{"-movflags", "+faststart"}},
		"the cue list of MKV":              {Ext: "mkv", Seconds: 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keep := 0.97
			if spec.Ext == "mkv" {
				keep = 0.9995
			}
			mp3, result, err := convert(t, Runner{}, testmedia.Cut(t, testmedia.Clip(t, spec), keep), Options{})
			if err != nil {
				t.Fatal(err)
			}
			checkMP3(t, mp3, result, seconds(max(spec.Sound, 2)+18*float64(len(spec.Ext)/3)))
		})
	}
}

func TestDamageInTheMiddleIsRefused(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]testmedia.Spec{
		"MP4": {Flags: []string{"-movflags", "+faststart"}}, "MKV": {Ext: "mkv"}, "AVI": {Ext: "avi", Audio: "ac3"},
		"WebM": {Ext: "webm"}, "TS": {Ext: "ts"}, "TS of MP2": {Ext: "ts", Audio: "mp2"}, "FLV": {Ext: "flv"}, "WMV": {Ext: "wmv"},
		"FLAC": {Ext: "flac"}, "Ogg": {Ext: "ogg"}, "AAC": {Ext: "aac"}, "MP3": {Ext: "mp3", Flags: []string{"-write_xing", "0"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec.Seconds = 8
			data := read(t, testmedia.Clip(t, spec))
			random := rand.NewChaCha8([32]byte{})
			_, _ = random.Read(data[len(data)*2/5 : len(data)*3/5])
			_, _, err := convert(t, Runner{}, testmedia.File(t, ".bin", data), Options{})
			reason(t, err, job.ReasonTruncated)
		})
	}
}

func TestSilentVideosAreRefused(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{
		"MP4 without sound":    testmedia.Clip(t, testmedia.Spec{Audio: testmedia.None}),
		"MKV without sound":    testmedia.Clip(t, testmedia.Spec{Ext: "mkv", Audio: testmedia.None}),
		"AVI without sound":    testmedia.Clip(t, testmedia.Spec{Ext: "avi", Audio: testmedia.None}),
		"FLV without sound":    testmedia.Clip(t, testmedia.Spec{Ext: "flv", Audio: testmedia.None}),
		"TS without sound":     testmedia.Clip(t, testmedia.Spec{Ext: "ts", Audio: testmedia.None}),
		"an empty track, MKV":  testmedia.Clip(t, testmedia.Spec{Ext: "mkv", Flags: []string{"-frames:a", "0"}}),
		"an empty track, AVI":  testmedia.Clip(t, testmedia.Spec{Ext: "avi", Flags: []string{"-frames:a", "0"}}),
		"an empty track, MP4":  testmedia.File(t, ".mp4", emptied(read(t, testmedia.Clip(t, testmedia.Spec{Ext: "m4a"})))),
		"WAV of no samples":    testmedia.File(t, ".wav", binary.LittleEndian.AppendUint32(silence()[:40], 0)),
		"MP4 of one subtitle?": testmedia.Clip(t, testmedia.Spec{Ext: "mov", Audio: testmedia.None}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := convert(t, Runner{}, path, Options{})
			reason(t, err, job.ReasonNoAudio)
		})
	}
}

// emptied takes the samples out of an MP4's tables.
func emptied(mp4 []byte) []byte {
	for _, name := range []string{"stts", "stsc", "stco", "stsz"} {
		at := bytes.Index(mp4, []byte(name)) + 8
		if name == "stsz" {
			at += 4 // behind the size that all samples have
		}
		binary.BigEndian.PutUint32(mp4[at:], 0)
	}
	return mp4
}

func TestWhatIsNoMediaIsRefused(t *testing.T) {
	t.Parallel()
	secret := testmedia.Clip(t, testmedia.Spec{Ext: "ts"})
	noise := make([]byte, 300_000)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(noise)
	clip := read(t, testmedia.Clip(t, testmedia.Spec{}))
	for name, tt := range map[string]struct {
		data string
		want job.Reason
	}{
		"nothing":               {"", job.ReasonEmpty},
		"one byte":              {"G", job.ReasonUnsupported},
		"random bytes":          {string(noise), job.ReasonUnsupported},
		"zeros":                 {strings.Repeat("\x00", 100_000), job.ReasonUnsupported},
		"text":                  {strings.Repeat("It was a bright cold day in April. ", 1000), job.ReasonUnsupported},
		"HTML":                  {"<!doctype html><video src=/x.mp4>", job.ReasonUnsupported},
		"ZIP":                   {"PK\x03\x04" + string(noise), job.ReasonUnsupported},
		"JPEG":                  {"\xFF\xD8\xFF\xE0\x00\x10JFIF\x00" + string(noise), job.ReasonUnsupported},
		"PNG":                   {"\x89PNG\r\n\x1a\n" + string(noise), job.ReasonUnsupported},
		"HLS":                   {hls(secret), job.ReasonUnsupported},
		"HLS behind an ID3 tag": {"ID3\x04\x00\x00\x00\x00\x00\x00" + hls(secret), job.ReasonUnsupported},
		"ffconcat":              {"ffconcat version 1.0\nfile " + secret + "\n", job.ReasonUnsupported},
		"SDP":                   {"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n", job.ReasonUnsupported},
		"DASH":                  {`<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>`, job.ReasonUnsupported},
		"a playlist":            {"[playlist]\nFile1=http://127.0.0.1/\n", job.ReasonUnsupported},
		"MIDI":                  {"MThd\x00\x00\x00\x06" + string(noise), job.ReasonUnsupported},
		"noise after ftyp":      {string(clip[:28]) + string(noise), job.ReasonUnreadable},
		"ftyp alone":            {string(clip[:32]), job.ReasonUnreadable},
		"a Matroska of noise":   {"\x1A\x45\xDF\xA3" + string(noise), job.ReasonUnreadable},
		"an AVI of noise":       {"RIFF\x00\x00\x00\x00AVI " + string(noise), job.ReasonNoAudio}, // no tracks at all
		"an ASF of noise":       {"\x30\x26\xB2\x75\x8E\x66\xCF\x11\xA6\xD9\x00\xAA\x00\x62\xCE\x6C" + string(noise), job.ReasonUnreadable},
		"a FLAC of noise":       {"fLaC" + string(noise), job.ReasonUnreadable},
		"a damaged index":       {string(slices.Concat(clip[:len(clip)*9/10], noise[:len(clip)/10+1])), job.ReasonUnreadable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := convert(t, Runner{}, testmedia.File(t, ".mp4", []byte(tt.data)), Options{})
			reason(t, err, tt.want)
		})
	}
}

func hls(path string) string {
	return "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n" + path + "\n#EXT-X-ENDLIST\n"
}

// The second wall behind the sniffer: ffmpeg itself must not follow a playlist, whatever demuxer it is told to use. The
// third, the kernel, is left out here.
func TestFFmpegOpensNoOtherFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret.ts")
	if err := os.WriteFile(secret, read(t, testmedia.Clip(t, testmedia.Spec{Ext: "ts"})), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, format := range []container.Format{
		container.MP4, container.Matroska, container.AVI, container.FLV, container.MPEGTS, container.ASF, container.Ogg,
		container.WAV, container.MP3, container.FLAC, container.ADTS, "hls", "concat", "dash", "sdp",
	} {
		texts := []string{hls(secret)}
		if !slices.Contains(supported, format) {
			texts = append(texts, hls("secret.ts"), "ffconcat version 1.0\nfile secret.ts\n")
		}
		for _, text := range texts {
			path := filepath.Join(dir, "playlist.mp4")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			in, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			out, err := Runner{}.Temp()
			if err != nil {
				t.Fatal(err)
			}
			r := Runner{Sandbox: sandbox.Limits}.withDefaults()
			args := r.args(format, Options{})
			if i := slices.Index(args, "-format_whitelist"); !slices.Contains(supported, format) {
				args[i+1] = string(supported[0]) // a demuxer that is not in the list
			}
			cmd, err := r.command(t.Context(), args, 0, r.MaxBytes, []*os.File{in}, []*os.File{out})
			if err != nil {
				t.Fatal(err)
			}
			cmd.Dir = dir // where a relative name would lead to something
			if err := <-start(cmd, &group{}); err != nil {
				t.Fatal(err)
			}
			info, err := out.Stat()
			if err != nil {
				t.Fatal(err)
			}
			if info.Size() > 300 { // a tag and a head without sound
				t.Errorf("as %s, ffmpeg made %d bytes of %q", format, info.Size(), text)
			}
			in.Close()
			out.Close()
		}
	}
}

var supported = []container.Format{
	container.MP4, container.Matroska, container.AVI, container.FLV, container.MPEGTS, container.ASF, container.Ogg,
	container.WAV, container.MP3, container.FLAC, container.ADTS,
}

func TestUnlikelySound(t *testing.T) {
	t.Parallel()
	aac := func(s testmedia.Spec) []byte { s.Ext = "aac"; return read(t, testmedia.Clip(t, s)) }
	mp3 := func(s testmedia.Spec) []byte {
		s.Ext, s.Flags = "mp3", []string{"-write_xing", "0", "-id3v2_version", "0"}
		return read(t, testmedia.Clip(t, s))
	}
	for name, tt := range map[string]struct {
		data []byte
		want job.Reason // "" is an MP3
	}{
		"17 channels":                 {wav(17, 48000, 10_000), job.ReasonUnsupported},
		"255 channels":                {wav(255, 48000, 4800), job.ReasonUnsupported},
		"65535 channels":              {wav(65535, 48000, 10), job.ReasonUnsupported},
		"one sample a second":         {wav(1, 1, 60), job.ReasonUnsupported},
		"2 GHz":                       {wav(2, math.MaxInt32, 100_000), job.ReasonUnsupported},
		"a change of rate in AAC":     {slices.Concat(aac(testmedia.Spec{}), aac(testmedia.Spec{Rate: 22050, Layout: "stereo"})), ""},
		"a change of channels in MP3": {slices.Concat(mp3(testmedia.Spec{}), mp3(testmedia.Spec{Layout: "stereo", Rate: 32000})), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, r := range []Runner{{}, {Cores: forced()}} { // which may differ at a change: ffmpeg's encoder gets half a frame there
				_, result, err := convertFile(t, r, testmedia.File(t, ".bin", tt.data), Options{})
				switch {
				case tt.want != "":
					reason(t, err, tt.want)
				case err != nil || result.Duration == 0:
					t.Errorf("%v of sound, %v", result.Duration, err)
				}
			}
		})
	}
}

// Files that promise too much end as failures, by ffmpeg or before: they neither crash it nor take it long. Two ask for so
// much memory that it can be told from a machine with little by trying again only.
func TestFilesThatPromiseTooMuch(t *testing.T) {
	t.Parallel()
	clip := read(t, testmedia.Clip(t, testmedia.Spec{Flags: []string{"-movflags", "+faststart"}}))
	behind := func(name string, offset int, number uint32) []byte { // of the sound's track, which is the second
		b := slices.Clone(clip)
		at := bytes.LastIndex(b, []byte(name)) + 4 + offset
		binary.BigEndian.PutUint32(b[at:], number)
		return b
	}
	box := func(kind string, size uint32, body ...byte) []byte {
		return slices.Concat(binary.BigEndian.AppendUint32(nil, size), []byte(kind), body)
	}
	ftyp := box("ftyp", 16, []byte("isom\x00\x00\x00\x00")...)
	ebml := []byte("\x1A\x45\xDF\xA3\x80\x18\x53\x80\x67\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF") // a segment without end
	for name, data := range map[string][]byte{
		"2^32 sizes of samples":         behind("stsz", 8, math.MaxUint32),
		"2^32 chunks":                   behind("stco", 4, math.MaxUint32),
		"2^32 runs of samples":          behind("stts", 4, math.MaxUint32),
		"samples of 2^32 ticks":         behind("stts", 12, math.MaxUint32),
		"samples of 2^31 bytes":         behind("stsz", 4, math.MaxInt32),
		"a box within itself":           slices.Concat(ftyp, box("moov", 8), box("moov", 0)),
		"boxes of no size":              slices.Concat(ftyp, bytes.Repeat(box("moov", 0), 10_000)),
		"boxes of 64-bit nonsense":      slices.Concat(ftyp, bytes.Repeat(box("moov", 1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF), 10_000)),
		"ten thousand boxes in boxes":   slices.Concat(ftyp, bytes.Repeat(box("moov", 0x00FFFFFF), 10_000)),
		"ten thousand endless elements": slices.Concat(ebml, bytes.Repeat([]byte("\x16\x54\xAE\x6B\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xAE\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), 10_000)),
		"ten thousand clusters of none": slices.Concat(ebml, bytes.Repeat([]byte("\x1F\x43\xB6\x75\x80"), 10_000)),
		"a million tags in front":       slices.Concat(bytes.Repeat([]byte("ID3\x04\x00\x00\x00\x00\x00\x00"), 1_000_000), clip),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := convert(t, Runner{}, testmedia.File(t, ".bin", data), Options{})
			if failure := (*job.Failure)(nil); errors.As(err, &failure) {
				return
			}
			if err == nil || !strings.Contains(err.Error(), "out of memory") {
				t.Errorf("error %v, want a failure", err)
			}
		})
	}
}

func TestSoundThatCannotBeConverted(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]testmedia.Spec{
		"a codec off the list":        {Ext: "avi", Audio: "adpcm_ms"},
		"a codec off the list in MKV": {Ext: "mkv", Audio: "adpcm_ima_wav"},
		"an encrypted track": {Ext: "m4a", Flags: []string{
			"-encryption_scheme", "cenc-aes-ctr", "-encryption_key", "76a6c65c5ea762046bd749a2e632ccbb", "-encryption_kid", "a7e61c373e219033c21091fa607bf3b8",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := convert(t, Runner{}, testmedia.Clip(t, spec), Options{})
			if detail := reason(t, err, job.ReasonUnsupported); detail == "" {
				t.Error("no detail")
			}
		})
	}
}

// wav is a file of zeros with any number of channels and samples per second.
func wav(channels, rate, samples int) []byte {
	b := slices.Clone(silence()[:44])
	binary.LittleEndian.PutUint16(b[22:], uint16(channels))
	binary.LittleEndian.PutUint32(b[24:], uint32(rate))
	binary.LittleEndian.PutUint32(b[28:], uint32(rate*channels*2))
	binary.LittleEndian.PutUint16(b[32:], uint16(channels*2))
	binary.LittleEndian.PutUint32(b[40:], uint32(samples*channels*2))
	return append(b, make([]byte, samples*channels*2)...)
}

func TestOddRatesAreConverted(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ channels, rate, seconds int }{
		"1 kHz": {1, 1000, 60}, "16 channels": {16, 48000, 2}, "768 kHz": {2, 768_000, 2}, "6 channels of 22.05 kHz": {6, 22_050, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mp3, result, err := convert(t, Runner{}, testmedia.File(t, ".wav", wav(tt.channels, tt.rate, tt.seconds*tt.rate)), Options{})
			if err != nil {
				t.Fatal(err)
			}
			checkMP3(t, mp3, result, time.Duration(tt.seconds)*time.Second)
		})
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		runner Runner
		spec   testmedia.Spec
		want   job.Reason
		detail string
	}{
		"declared too long": {
			Runner{MaxDuration: 3 * time.Second, Path: "/no/ffmpeg/is/needed"}, testmedia.Spec{Seconds: 4},
			job.ReasonTooLong, "4.0 s, and 3.0 s is the limit",
		},
		"found too long": {
			Runner{MaxDuration: 3 * time.Second}, testmedia.Spec{Ext: "ts", Seconds: 6}, job.ReasonTooLong, "more than 3.0 s",
		},
		"found too long, declared by the container": {
			Runner{MaxDuration: 3 * time.Second}, testmedia.Spec{Ext: "mkv", Seconds: 6}, job.ReasonTooLong, "more than 3.0 s",
		},
		"too large": {
			Runner{MaxBytes: 8000}, testmedia.Spec{Seconds: 6}, job.ReasonTooLarge, "0 MB is the limit",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := convert(t, tt.runner, testmedia.Clip(t, tt.spec), Options{})
			if got := reason(t, err, tt.want); got != tt.detail {
				t.Errorf("detail %q, want %q", got, tt.detail)
			}
		})
	}
	t.Run("just short enough", func(t *testing.T) {
		t.Parallel()
		_, _, err := convert(t, Runner{MaxDuration: 4200 * time.Millisecond}, testmedia.Clip(t, testmedia.Spec{Ext: "mkv", Seconds: 4}), Options{})
		if err != nil {
			t.Error(err)
		}
	})
}
