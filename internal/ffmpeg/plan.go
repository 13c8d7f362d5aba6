package ffmpeg

import (
	"math"
	"time"

	"mp3converter/internal/mp3"
)

// bridges are how many frames more the encodes have at either end that are made where two segments do not agree.
var bridges = []int64{96, 480}

// plan says into how many segments a sound is cut. The zero value cuts none.
type plan struct {
	least   time.Duration // a shorter segment costs more than it gains
	most    time.Duration // a longer one fills the scratch folder, and others wait for its core, see lengths; 0 cuts nothing
	seams   int64         // one part of so many of the sound may be encoded twice, where segments meet; 0 is any
	overlap int64         // frames
}

// Where two segments meet, at a seam, mp3.LeadIn and mp3.Overlap are encoded twice: 120 frames, 3.1 s at 44.1 kHz. Of a clip of ten
// seconds that is 30 %, and even a core that is idle has better to do, for whoever fetches a video wants one soon.
const (
	// seams has all seams of a sound together cost 5 % of it at most: there is one for each 20 × 3.1 = 63 s. So what lasts less than
	// a minute is not cut at all, and ten minutes are cut in ten at most.
	seams = 20
	// most of a stereo track is 58 MB of floats, and two seconds of encoding.
	most = 150 * time.Second
	// starts is how many times longer than ffmpeg's start the sound of a segment is at least. A second of sound takes ten
	// milliseconds: the start then costs a tenth of it.
	starts = 1000
)

// newPlan is for an ffmpeg that takes so long to start.
func newPlan(start time.Duration) plan {
	return plan{min(starts*start, most), most, seams, mp3.Overlap}
}

// usual is how long a seam sounds at 44.1 kHz. What the rate is shows only when the sound is decoded.
const usual = (mp3.LeadIn + mp3.Overlap) * 1152 * time.Second / 44100

// pays says whether so much sound is enough for two segments.
func (p plan) pays(sound time.Duration) bool { return p.most > 0 && p.segments(sound, usual) > 1 }

// segments is into how many so much sound may be cut.
func (p plan) segments(sound, seam time.Duration) int64 {
	n := int64(math.MaxInt64)
	if p.least > 0 {
		n = int64(sound / p.least)
	}
	if p.seams > 0 && seam > 0 {
		n = min(n, 1+int64(sound/seam)/p.seams)
	}
	return max(1, n)
}

// lengths returns how much sound the first encoder gets, and how much each other one, of so much for so many cores: the same
// number of segments for each core, all the same, what two of them share, a seam, counted twice. Instead of two that follow each
// other a core gets one, twice as long: all of the sound lies in the scratch folder then, and would nearly do so anyway.
//
// But a core has nothing to do until the first segment is decoded, and the last one is decoded last. So the last gives nine tenths
// of a segment to do, and the tenth that it lacks comes first, if one seam more is little. An unknown length is 0.
func (p plan) lengths(sound, seam time.Duration, cores int) (first, others time.Duration) {
	if sound == 0 {
		others = min(p.most, max(p.least, time.Duration(p.seams)*seam, time.Minute))
		return others, others
	}
	const longest = 10_000 * time.Hour // a video may promise anything
	sound = min(sound, longest)
	n, may := int64(cores), p.segments(sound, seam)
	rounds := (int64(sound) + n*int64(p.most) - 1) / (n * int64(p.most))
	if rounds == 2 { //nolint:mnd // see above
		rounds = 1
	}
	segments := min(n*rounds, may)
	others = time.Duration((int64(sound) + (segments-1)*int64(seam)) / segments)
	first = others
	if segments > 1 && 2*segments <= may {
		first = others / tenth
	}
	return first, others
}

// tenth of the time that its encoding takes, about, is what decoding a sound takes.
const tenth = 10
