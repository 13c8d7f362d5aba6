package ffmpeg

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"mp3converter/internal/ffmpeg/container"
	"mp3converter/internal/job"
)

// logged are the findings of a log.
func logged(text ...string) *findings {
	f := newFindings()
	for _, line := range text {
		_, _ = f.Write([]byte(line + "\n"))
	}
	return f
}

const (
	decodeError = "[error] Error while decoding stream #0:1: Invalid data found when processing input"
	cutWarning  = "[matroska,webm @ 0x5] [error] File ended prematurely"
	jumpWarning = "[mpegts @ 0x5] [warning] Packet corrupt (stream = 1, dts = 547331)."
)

func TestJudge(t *testing.T) {
	t.Parallel()
	const transient, unknown = job.Reason("transient"), job.Reason("unknown")
	type facts = container.Facts
	sound := func(s float64) container.Facts {
		return container.Facts{Format: container.MP3, Exact: true, Sound: seconds(s)}
	}
	exact := facts{Sound: 10 * time.Second, Exact: true}
	atMost := facts{Sound: 10 * time.Second}
	for name, tt := range map[string]struct {
		video  facts
		mp3    facts
		bytes  int64
		reach  float64 // seconds; default the MP3's
		log    []string
		code   int
		signal syscall.Signal
		cpu    time.Duration
		silent bool // no end is reported
		want   job.Reason
		detail string
	}{
		"all of it":                            {video: exact, mp3: sound(10)},
		"a frame less":                         {video: exact, mp3: sound(9.96)},
		"one in two hundred less":              {video: facts{Sound: time.Hour, Exact: true}, mp3: sound(3585)},
		"more than one in two hundred less":    {video: facts{Sound: time.Hour, Exact: true}, mp3: sound(3575), want: job.ReasonTruncated, detail: "0:59:35 of 1:00:00"},
		"more than declared":                   {video: exact, mp3: sound(11)},
		"half of it":                           {video: exact, mp3: sound(4.34), want: job.ReasonTruncated, detail: "4.3 of 10.0 s"},
		"all of it, with a few errors":         {video: exact, mp3: sound(9.97), log: []string{decodeError, decodeError}},
		"a part, with errors":                  {video: exact, mp3: sound(8.7), reach: 10, log: []string{decodeError}, want: job.ReasonTruncated, detail: "8.7 of 10.0 s"},
		"gaps":                                 {video: exact, mp3: sound(7), reach: 10},
		"gaps, and damage":                     {video: exact, mp3: sound(7), reach: 10, log: []string{jumpWarning}, want: job.ReasonTruncated, detail: "7.0 of 10.0 s"},
		"gaps, and a missing end":              {video: facts{Sound: 10 * time.Second, Exact: true, Cut: true}, mp3: sound(7), reach: 10, want: job.ReasonTruncated, detail: "7.0 of 10.0 s"},
		"shorter than the file":                {video: atMost, mp3: sound(3)},
		"shorter than the file, and cut":       {video: facts{Sound: 10 * time.Second, Cut: true}, mp3: sound(3), want: job.ReasonTruncated, detail: "3.0 of 10.0 s"},
		"shorter than the file, and ffmpeg":    {video: atMost, mp3: sound(3), log: []string{cutWarning}, want: job.ReasonTruncated, detail: "3.0 of 10.0 s"},
		"the end without sound is cut":         {video: facts{Sound: 10 * time.Second, Cut: true}, mp3: sound(9.98)},
		"nothing declared":                     {mp3: sound(3)},
		"nothing declared, and cut":            {video: facts{Cut: true}, mp3: sound(3), want: job.ReasonTruncated, detail: "the end of the file is missing"},
		"nothing declared, and ffmpeg":         {mp3: sound(3), log: []string{cutWarning}, want: job.ReasonTruncated, detail: "the end of the file is missing"},
		"nothing declared, few errors":         {mp3: sound(3), log: []string{decodeError, decodeError, decodeError}},
		"nothing declared, many errors":        {mp3: sound(3), log: strings.Split(strings.Repeat(decodeError+"|", 100), "|"), want: job.ReasonTruncated, detail: "3.0 of 5.6 s"},
		"nothing declared, gaps":               {mp3: sound(3), reach: 5},
		"nothing declared, a hole":             {mp3: sound(3), reach: 5, log: []string{jumpWarning}, want: job.ReasonTruncated, detail: "3.0 of 5.0 s"},
		"nothing declared, a scratch":          {mp3: sound(3), log: []string{jumpWarning}},
		"an empty track":                       {mp3: facts{}, want: job.ReasonNoAudio, detail: "its audio track is empty"},
		"nothing of a declared length":         {video: exact, want: job.ReasonTruncated, detail: "0.0 of 10.0 s"},
		"nothing of a cut file":                {video: facts{Cut: true}, want: job.ReasonTruncated, detail: "the end of the file is missing"},
		"nothing decoded":                      {log: []string{decodeError}, want: job.ReasonUnreadable, detail: "its sound cannot be decoded"},
		"no track":                             {code: 1, log: []string{"[fatal] Stream map '0:a:0' matches no streams."}, want: job.ReasonNoAudio},
		"no decoder":                           {code: 1, log: []string{"[fatal] Decoder (codec none) not found for input stream #0:1"}, want: job.ReasonUnsupported, detail: "the codec of its sound"},
		"no decoder, of 7.1":                   {code: 1, log: []string{"[fatal] Decoding requested, but no decoder found for: adpcm_ms"}, want: job.ReasonUnsupported, detail: "the codec of its sound"},
		"a decoder off the list":               {code: 1, log: []string{"[x @ 0x5] [error] Codec (x) not on whitelist 'aac'", "[error] Error while opening decoder for input stream #0:1 : Invalid argument"}, want: job.ReasonUnsupported, detail: "the codec of its sound"},
		"no container":                         {code: 1, log: []string{"[mov @ 0x5] [error] moov atom not found", "[error] /dev/fd/3: Invalid data found when processing input"}, want: job.ReasonUnreadable},
		"no container, and cut":                {video: facts{Cut: true}, code: 1, log: []string{"[error] /dev/fd/3: Invalid data found when processing input"}, want: job.ReasonTruncated, detail: "the end of the file is missing"},
		"most of it cannot be decoded":         {code: tooManyErrors, log: []string{decodeError}, want: job.ReasonUnreadable, detail: "most of its sound cannot be decoded"},
		"most of a cut file cannot be decoded": {video: facts{Cut: true}, code: tooManyErrors, log: []string{decodeError}, want: job.ReasonTruncated, detail: "the end of the file is missing"},
		"a full disk, status 0":                {video: exact, mp3: sound(10), log: []string{"[error] Error writing trailer of /dev/fd/4: No space left on device"}, want: transient},
		"a full disk, status 1":                {video: exact, code: 1, log: []string{"[error] av_interleaved_write_frame(): Disk quota exceeded"}, want: transient},
		"too large":                            {video: exact, mp3: sound(10), bytes: 1000, want: job.ReasonTooLarge, detail: "0 MB is the limit"},
		"too large, by the kernel":             {video: exact, signal: syscall.SIGXFSZ, want: job.ReasonTooLarge, detail: "0 MB is the limit"},
		"too long":                             {mp3: sound(3601), want: job.ReasonTooLong, detail: "more than 1:00:00"},
		"too long, with gaps":                  {mp3: sound(10), reach: 3601, want: job.ReasonTooLong, detail: "more than 1:00:00"},
		"as long as allowed":                   {mp3: sound(3600)},
		"killed":                               {video: exact, mp3: sound(10), signal: syscall.SIGKILL, want: unknown, detail: "killed"},
		"killed at the limit of CPU":           {video: exact, signal: syscall.SIGKILL, cpu: 750 * time.Second, want: job.ReasonTooSlow, detail: "0.0 s of sound in 0:12:30 of a processor's time"},
		"killed long before it":                {video: exact, signal: syscall.SIGKILL, cpu: 700 * time.Second, want: unknown, detail: "killed"},
		"an error that nobody knows":           {video: exact, code: 1, log: []string{"[fatal] Cannot allocate memory"}, want: unknown, detail: "Cannot allocate memory"},
		"no memory for the decoder":            {video: exact, code: 1, log: []string{"[error] Error while opening decoder for input stream #0:0 : Cannot allocate memory"}, want: unknown, detail: "out of memory"},
		"no memory for most of it":             {video: exact, code: tooManyErrors, log: []string{"[error] Error while decoding stream #0:0: Cannot allocate memory"}, want: unknown, detail: "out of memory"},
		"no memory for some of it, status 0":   {video: exact, mp3: sound(8), log: []string{"[error] Error while decoding stream #0:0: Cannot allocate memory"}, want: unknown, detail: "out of memory"},
		"not a word of the end":                {video: exact, mp3: sound(10), silent: true, want: unknown, detail: "without a word"},
		"an MP3 without a head":                {video: exact, mp3: facts{Format: container.MP3}, reach: 10, want: unknown, detail: "no whole MP3"},
		"an MP3 shorter than it says":          {video: exact, mp3: facts{Format: container.MP3, Sound: 10 * time.Second, Exact: true, Cut: true}, want: unknown, detail: "no whole MP3"},
		"no MP3 at all":                        {video: exact, reach: 10, want: unknown, detail: "no whole MP3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := Runner{MaxBytes: 1000, MaxDuration: time.Hour}.withDefaults()
			err := r.judge(outcome{
				video: video{Facts: tt.video}, mp3: mp3File{tt.mp3, tt.bytes}, findings: logged(tt.log...), code: tt.code, signal: tt.signal,
				reach: max(seconds(tt.reach), tt.mp3.Sound), ended: !tt.silent, cpu: tt.cpu,
			})
			failure := (*job.Failure)(nil)
			got, detail := job.Reason(""), ""
			switch {
			case errors.As(err, &failure):
				got, detail = failure.Reason, failure.Detail
			case errors.Is(err, job.ErrTransient):
				got = transient
			case err != nil:
				got, detail = unknown, err.Error()
			}
			if got != tt.want || !strings.Contains(detail, tt.detail) || tt.detail == "" && detail != "" {
				t.Errorf("judge = %v (%q, %q), want %q, %q", err, got, detail, tt.want, tt.detail)
			}
		})
	}
}

func TestRefuse(t *testing.T) {
	t.Parallel()
	r := Runner{MaxDuration: time.Hour}
	for name, tt := range map[string]struct {
		facts  container.Facts
		want   job.Reason
		detail string
	}{
		"a good file":                     {container.Facts{Sound: time.Hour, Exact: true}, "", ""},
		"a live recording":                {container.Facts{}, "", ""},
		"too long":                        {container.Facts{Sound: time.Hour + 1, Exact: true}, job.ReasonTooLong, "1:00:00, and 1:00:00 is the limit"},
		"too long, perhaps without sound": {container.Facts{Sound: time.Hour + 1}, "", ""},
		"encrypted":                       {container.Facts{Locked: true}, job.ReasonUnsupported, "its sound is encrypted"},
		"an unheard-of rate":              {container.Facts{Form: container.Form{Channels: 2, Rate: 768_001}}, job.ReasonUnsupported, "768001 samples per second, and 1000 to 768000 are the limits"},
		"one sample a second":             {container.Facts{Form: container.Form{Channels: 2, Rate: 1}}, job.ReasonUnsupported, "1 samples per second, and 1000 to 768000 are the limits"},
		"a choir":                         {container.Facts{Form: container.Form{Channels: 17, Rate: 48000}}, job.ReasonUnsupported, "17 channels, and 16 is the limit"},
		"a camera":                        {container.Facts{Form: container.Form{Channels: 16, Rate: 48000}}, "", ""},
		"half":                            {container.Facts{Sound: 10 * time.Second, Missing: 5 * time.Second, Exact: true, Cut: true}, job.ReasonTruncated, "5.0 of 10.0 s"},
		"nearly all":                      {container.Facts{Sound: 10 * time.Second, Missing: 50 * time.Millisecond, Exact: true, Cut: true}, "", ""},
		"cut behind its sound":            {container.Facts{Sound: 10 * time.Second, Exact: true, Cut: true}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := r.refuse(tt.facts)
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if got := reason(t, err, tt.want); got != tt.detail {
				t.Errorf("detail %q, want %q", got, tt.detail)
			}
		})
	}
}

func TestLate(t *testing.T) {
	t.Parallel()
	const stalled = job.Reason("stalled")
	start := time.Unix(1_000_000, 0)
	for name, tt := range map[string]struct {
		ran, silent, made float64 // seconds
		bytes             int64
		size              string // of the MP3
		want              job.Reason
	}{
		"begun":                         {0, 0, 0, 0, "0", ""},
		"probing":                       {19, 19, 0, 0, "0", ""},
		"silent from the start":         {21, 21, 0, 0, "0", stalled},
		"silent, a large file":          {21, 21, 0, 64 << 20, "0", ""},
		"silent in the middle":          {1000, 21, 20_000, 0, "0", stalled},
		"fast":                          {1000, 0.5, 20_000, 0, "0", ""},
		"as slow as allowed":            {1029, 0.5, 5000, 0, "0", ""},
		"slower":                        {1031, 0.5, 5000, 0, "0", job.ReasonTooSlow},
		"slow, but reading":             {1031, 0.5, 5000, 64 << 20, "0", ""},
		"changing":                      {1031, 0.5, 10, 0, "201000000", ""},
		"changing, and slow":            {1031, 0.5, 10, 0, "199000000", job.ReasonTooSlow},
		"alive without making anything": {31, 0.5, 0, 0, "N/A", job.ReasonTooSlow},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := process{runner: Runner{}.withDefaults(), video: video{bytes: tt.bytes}, progress: newProgress(nil, nil)}
			_, _ = p.progress.Write([]byte("total_size=" + tt.size + "\n"))
			now := start.Add(seconds(tt.ran))
			p.progress.made, p.progress.last = seconds(tt.made), now.Add(-seconds(tt.silent))
			err := p.late(start, now)
			switch failure := (*job.Failure)(nil); {
			case tt.want == "" && err != nil, tt.want != "" && err == nil:
				t.Errorf("late = %v, want %q", err, tt.want)
			case errors.As(err, &failure) && failure.Reason != tt.want, tt.want == stalled && errors.Is(err, job.ErrPermanent):
				t.Errorf("late = %v, want %q", err, tt.want)
			}
		})
	}
}
