package ffmpeg

import "time"

// A segment begins with leadIn frames for the encoder to find its ways, and goes on for overlap frames into the next: between
// the two there must be a run of frames that are equal. An ordinary sound is there after two frames, and LAME looks ahead
// for another two.
const (
	leadIn  = 8
	overlap = 24
	step    = 16 // frames to look on for a place that is not silent
)

// bridges are how many frames longer on both sides the encodes are that are made where two segments agree nowhere.
var bridges = []int64{96, 480}

// plan says how long segments are. The zero value has none.
type plan struct {
	least   time.Duration // a shorter one costs more than it gains
	most    time.Duration // a longer one fills the scratch folder, and others wait for its core
	overlap int64         // frames
}

const (
	// most of a stereo track is 38 MB of floats, and a second or two of encoding.
	most = 100 * time.Second
	// least is for an ffmpeg that starts in no time; a second of sound takes ten milliseconds.
	least = 4 * time.Second
	// starts is how many times longer than ffmpeg's start the sound of a segment is at least: then that costs a tenth of it.
	starts = 1000
)

// newPlan is for an ffmpeg that takes so long to start.
func newPlan(start time.Duration) plan {
	return plan{min(max(least, starts*start), most), most, overlap}
}

// pays says whether so much sound is enough for two segments.
func (p plan) pays(sound time.Duration) bool { return p.least > 0 && sound >= 2*p.least }

// length returns how long to make the segments of so much sound for so many cores: all the same, the same number for each
// core. An unknown length is 0.
func (p plan) length(sound time.Duration, cores int) time.Duration {
	if sound == 0 {
		return min(p.most, max(p.least, time.Minute))
	}
	n := time.Duration(cores)
	rounds := (sound + n*p.most - 1) / (n * p.most)
	return max(p.least, sound/(n*rounds))
}
