package ffmpeg

import (
	"time"

	"mp3converter/internal/mp3"
)

// bridges are how many frames more the encodes have at either end that are made where two segments do not agree.
var bridges = []int64{96, 480}

// plan says how long segments are. The zero value has none.
type plan struct {
	least   time.Duration // a shorter one costs more than it gains
	most    time.Duration // a longer one fills the scratch folder, and others wait for its core
	overlap int64         // frames
}

const (
	// most of a stereo track is 58 MB of floats, and two seconds of encoding. Each seam costs three seconds of sound, see mp3.LeadIn.
	most = 150 * time.Second
	// least is for an ffmpeg that starts in no time; a second of sound takes ten milliseconds.
	least = 4 * time.Second
	// starts is how many times longer than ffmpeg's start the sound of a segment is at least: then that costs a tenth of it.
	starts = 1000
)

// newPlan is for an ffmpeg that takes so long to start.
func newPlan(start time.Duration) plan {
	return plan{min(max(least, starts*start), most), most, mp3.Overlap}
}

// pays says whether so much sound is enough for two segments.
func (p plan) pays(sound time.Duration) bool { return p.least > 0 && sound >= 2*p.least }

// length returns how much sound each encoder gets, of so much for so many cores: all the same, and the same number of segments for
// each core. What two of them share, a seam, is counted twice. An unknown length is 0.
func (p plan) length(sound, seam time.Duration, cores int) time.Duration {
	if sound == 0 {
		return min(p.most, max(p.least, time.Minute))
	}
	const longest = 10_000 * time.Hour // a video may promise anything
	sound = min(sound, longest)
	n := int64(cores)
	rounds := (int64(sound) + n*int64(p.most) - 1) / (n * int64(p.most))
	segments := min(n*rounds, max(1, int64(sound/p.least)))
	return time.Duration((int64(sound) + (segments-1)*int64(seam)) / segments)
}
