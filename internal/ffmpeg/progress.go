package ffmpeg

import (
	"strconv"
	"strings"
	"sync"
	"time"
)

// progress reads what ffmpeg writes because of -progress: blocks of lines key=value, each ended by "progress=continue"
// or, the last, "progress=end". It is the standard output of the process.
type progress struct {
	lines
	want   func() time.Duration // of sound; 0 is unknown
	report func(percent int)
	news   func() // nil, or called at the end of each block

	mu      sync.Mutex
	made    time.Duration // where in the sound the MP3 has come to
	bytes   int64         // of the MP3
	last    time.Time     // when the last block ended
	percent int
	end     bool
}

func newProgress(want func() time.Duration, report func(percent int)) *progress {
	if want == nil || report == nil {
		want = func() time.Duration { return 0 }
	}
	if report == nil {
		report = func(int) {}
	}
	p := &progress{want: want, report: report}
	p.each = p.line
	return p
}

// reach is the time at which the last sound made so far stands in the video. Without gaps it is the MP3's length.
func (p *progress) reach() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.made
}

// least is how much sound has been made at least. reach stands still where rate or channels change: ffmpeg counts anew there.
func (p *progress) least() time.Duration {
	const densest = 320_000 / 8 // bytes a second of MP3
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(p.made, time.Duration(p.bytes/densest)*time.Second)
}

// sign is when ffmpeg last showed that it is alive.
func (p *progress) sign() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// ended reports whether ffmpeg says that it has come to the end of the sound.
func (p *progress) ended() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.end
}

func (p *progress) line(line string) {
	key, value, _ := strings.Cut(line, "=")
	switch strings.TrimSpace(key) {
	case "out_time_us":
		if us, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64); err == nil { // else N/A: nothing made yet
			p.reached(time.Duration(us) * time.Microsecond)
		}
	case "total_size":
		if n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64); err == nil { // else N/A
			p.wrote(n)
		}
	case "progress":
		p.alive(value == "end")
	}
}

func (p *progress) reached(made time.Duration) {
	want := p.want()
	p.mu.Lock()
	p.made = max(p.made, made)
	before := p.percent
	if want > 0 {
		p.percent = min(int(100*p.made.Seconds()/want.Seconds()), 99)
	}
	now := p.percent
	p.mu.Unlock()
	if now > before {
		p.report(now)
	}
}

func (p *progress) wrote(bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bytes = bytes
}

func (p *progress) alive(end bool) {
	p.mu.Lock()
	p.last, p.end = time.Now(), end
	p.mu.Unlock()
	if p.news != nil {
		p.news()
	}
}

// growing passes on what is more than all before; nil stays nil.
func growing(report func(percent int)) func(percent int) {
	if report == nil {
		return nil
	}
	var mu sync.Mutex
	most := -1
	return func(percent int) {
		mu.Lock()
		defer mu.Unlock()
		if percent > most {
			most = percent
			report(percent)
		}
	}
}
