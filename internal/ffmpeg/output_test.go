package ffmpeg

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mp3converter/internal/ffmpeg/container"
	"mp3converter/internal/job"
)

func TestLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 3*maxLine)
	for name, tt := range map[string]struct{ writes, want []string }{
		"one":                  {[]string{"a\n"}, []string{"a"}},
		"several at once":      {[]string{"a\nb\n\nc\n"}, []string{"a", "b", "", "c"}},
		"one in pieces":        {[]string{"a", "b", "c\nd", "\n"}, []string{"abc", "d"}},
		"of Windows":           {[]string{"a\r\n"}, []string{"a"}},
		"without an end":       {[]string{"a\nb"}, []string{"a"}},
		"too long":             {[]string{long + "\nb\n"}, []string{long[:maxLine], "b"}},
		"too long, in pieces":  {[]string{long, long, "\nb\n"}, []string{long[:maxLine], "b"}},
		"nothing":              {[]string{""}, nil},
		"an end and beginning": {[]string{"a\nb", "c\n"}, []string{"a", "bc"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			l := lines{each: func(line string) { got = append(got, line) }}
			for _, w := range tt.writes {
				if n, err := l.Write([]byte(w)); n != len(w) || err != nil {
					t.Errorf("Write = %d, %v", n, err)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if cap(l.held) > 4*maxLine {
				t.Errorf("%d bytes are held", cap(l.held))
			}
		})
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		want     time.Duration
		text     string
		percents []int
		reach    time.Duration
		ended    bool
		alive    bool
	}{
		"a whole conversion": {
			4 * time.Second,
			"bitrate=N/A\nout_time_us=0\nprogress=continue\nout_time_us=1000000\nprogress=continue\nout_time_us=4032000\nprogress=end\n",
			[]int{25, 99}, 4032 * time.Millisecond, true, true,
		},
		"nothing made yet":        {4 * time.Second, "out_time_us=N/A\nprogress=continue\n", nil, 0, false, true},
		"an unknown length":       {0, "out_time_us=1000000\nprogress=continue\n", nil, time.Second, false, true},
		"times that go back":      {4 * time.Second, "out_time_us=2000000\nout_time_us=1000000\n", []int{50}, 2 * time.Second, false, false},
		"a time below zero":       {4 * time.Second, "out_time_us=-23000\n", nil, 0, false, false},
		"a time too far":          {4 * time.Second, "out_time_us=9223372036854775\n", []int{99}, 9223372036854775 * time.Microsecond, false, false},
		"a number too large":      {4 * time.Second, "out_time_us=99999999999999999999\n", nil, 0, false, false},
		"a step below a percent":  {400 * time.Second, "out_time_us=2000000\nout_time_us=3000000\nout_time_us=4000000\n", []int{1}, 4 * time.Second, false, false},
		"nonsense":                {4 * time.Second, "=\n===\nout_time_us\nprogress\nprogress=\n", nil, 0, false, true},
		"padding around a number": {4 * time.Second, "out_time_us= 1000000 \n", []int{25}, time.Second, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var percents []int
			p := newProgress(func() time.Duration { return tt.want }, func(percent int) { percents = append(percents, percent) })
			_, _ = p.Write([]byte(tt.text))
			if diff := cmp.Diff(tt.percents, percents); diff != "" {
				t.Error(diff)
			}
			if p.reach() != tt.reach || p.ended() != tt.ended || !p.sign().IsZero() != tt.alive {
				t.Errorf("reach %v, ended %v, sign %v; want %v, %v, %v", p.reach(), p.ended(), p.sign(), tt.reach, tt.ended, tt.alive)
			}
		})
	}
}

func TestFindings(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]finding{
		"[error] Error while decoding stream #0:1: Invalid data found when processing input":                   lostPacket,
		"[aist#0:0/aac @ 0x5] [error] Error submitting packet to decoder: Invalid data found when processing":  lostPacket,
		"[matroska,webm @ 0x5] [error] File ended prematurely":                                                 lostEnd,
		"[mov,mp4,m4a,3gp,3g2,mj2 @ 0x5] [error] stream 1, offset 0xcfcd: partial file":                        lostEnd,
		"[fatal] Stream map '0:a:0' matches no streams.":                                                       noTrack,
		"[error] Error while opening decoder for input stream #0:1 : Invalid argument":                         noDecoder,
		"[error] Error reinitializing filters!":                                                                noMixing,
		"[error] /dev/fd/3: Invalid data found when processing input":                                          badInput,
		"[fatal] /dev/fd/3: could not find codec parameters":                                                   badInput,
		"[error] /dev/fd/3: Input/output error":                                                                badInput,
		"[error] /dev/fd/3: Not yet implemented in FFmpeg, patches welcome":                                    noDecoder,
		"[error] /dev/fd/3: End of file":                                                                       badInput,
		"[warning] /dev/fd/3: corrupt input packet in stream 1":                                                damage,
		"[matroska,webm @ 0x5] [error] Element at 0xd198 ending at 0xf3e4 exceeds containing master element e": damage,
		"[ogg @ 0x5] [error] CRC mismatch!":                                                                    damage,
		"[h264 @ 0x5] [error] Codec (h264) not on whitelist 'aac'":                                             harmless,
		"[mp3 @ 0x5] [error] Application provided invalid, non monotonically increasing dts to muxer in strea": harmless,
		"[error] Error writing trailer of /dev/fd/4: No space left on device":                                  diskFull,
	} {
		f := logged(line)
		if f.counts[want] != 1 {
			t.Errorf("%q gives %v, want kind %d", line, f.counts, want)
		}
		if strings.Contains(line, "[error]") && f.complaint != line {
			t.Errorf("%q is not the complaint, but %q", line, f.complaint)
		}
	}
	if f := logged("[warning] Guessed Channel Layout for Input Stream #0.0 : mono"); f.counts != [findingKinds]int{} {
		t.Errorf("a harmless warning gives %v", f.counts)
	}
	if f := logged("sh: not found", "[fatal] first", "[warning] and so on"); f.complaint != "[fatal] first" {
		t.Errorf("the complaint is %q", f.complaint)
	}
}

// What keeps hostile input at bay must not get lost in a clean-up.
func TestArguments(t *testing.T) {
	t.Parallel()
	args := Runner{}.withDefaults().args(container.Matroska, Options{Title: "-y", Profile: job.Voice})
	line := strings.Join(args, " ")
	for _, want := range []string{
		"-nostdin", "-protocol_whitelist file -format_whitelist matroska -codec_whitelist aac,", "-max_streams 64",
		"-f matroska -i /dev/fd/3 -map 0:a:0 -vn -sn -dn -map_metadata -1 -map_chapters -1 -t 43201.000 -fs 8589934592",
		"-c:a libmp3lame -reservoir 0 -ac 1 -ar 24000 -q:a 5 -metadata title=-y -id3v2_version 3 -f mp3 -y /dev/fd/4",
	} {
		if !strings.Contains(line, want) {
			t.Errorf("no %q in %s", want, line)
		}
	}
	if i := slices.Index(args, "-i"); slices.Index(args, "-codec_whitelist") > i || slices.Index(args, "-format_whitelist") > i {
		t.Error("a whitelist stands behind the input, where it has no effect")
	}
	for _, profile := range job.Profiles {
		if _, ok := encodings[profile]; !ok {
			t.Errorf("profile %s is not known", profile)
		}
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0.0 s", 4340 * time.Millisecond: "4.3 s", 99 * time.Second: "99.0 s", 100 * time.Second: "0:01:40",
		3723 * time.Second: "1:02:03", 13 * time.Hour: "13:00:00",
	} {
		if got := clock(d); got != want {
			t.Errorf("clock(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	for banner, want := range map[string]string{
		"ffmpeg version 5.1.9-0+deb12u1 Copyright (c) 2000-2026 the FFmpeg developers\n": "5.1.9-0+deb12u1",
		"ffmpeg version n7.1\n": "n7.1", "": "", "something else": "",
	} {
		if got := parseVersion([]byte(banner)); got != want {
			t.Errorf("parseVersion(%q) = %q, want %q", banner, got, want)
		}
	}
}
