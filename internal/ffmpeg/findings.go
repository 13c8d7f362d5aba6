package ffmpeg

import "strings"

// finding is something that ffmpeg says in its log and that matters here.
type finding int

const (
	lostPacket finding = iota // a piece of sound could not be decoded
	lostEnd                   // the container goes on beyond the end of the file
	noTrack                   // there is no audio track
	noDecoder                 // there is one, but its codec cannot be decoded
	noMixing                  // decoded, but nothing that ffmpeg can convert: a hundred channels
	badInput                  // the container cannot be read at all
	damage                    // some of it cannot; perhaps only of the picture
	harmless
	diskFull
	noMemory // who is to blame cannot be known: a small machine, or a file that says it needs the moon
	findingKinds
)

// phrases are ffmpeg's words, of 5.1 to 8.0. The first that a line contains decides.
var phrases = []struct {
	text string
	is   finding
}{
	{"Cannot allocate memory", noMemory}, // before all that it may be the cause of
	{"Error while decoding stream", lostPacket},
	{"Error submitting packet to decoder", lostPacket}, // since 6.1
	{"File ended prematurely", lostEnd},                // Matroska
	{": partial file", lostEnd},                        // MP4
	{"matches no streams", noTrack},
	{"not found for input stream", noDecoder},
	{"no decoder found for", noDecoder}, // since 6.1
	{"Error while opening decoder", noDecoder},
	{"Error reinitializing filters", noMixing},
	{"Invalid data found when processing input", badInput},
	{inPath + ": End of file", badInput}, // Ogg
	{inPath + ": could not find codec parameters", badInput},
	{inPath + ": Input/output error", badInput}, // many readers' word for what ends too early; the disk's own would be a wonder
	{inPath + ": Not yet implemented in FFmpeg", noDecoder},
	{inPath + ": Operation not permitted", badInput}, // ASF: its reader's word for nonsense
	{"No space left on device", diskFull},
	{"Disk quota exceeded", diskFull},
	{"not on whitelist", harmless},
	{"Application provided invalid", harmless}, // times that run backwards: an MP3 has none
	{"is invalid, writing it anyway", damage},  // a packet that is copied and no frame
	{"Packet corrupt", damage},
	{"corrupt input packet", damage},
	{"changing packet size", damage}, // MPEG-TS, where it has lost its way
	{"PES packet size mismatch", damage},
	{anyError, damage},
}

const anyError = "[error]"

// findings reads ffmpeg's log, its standard error, and keeps counts and the last complaint.
type findings struct {
	lines
	tables    bool   // say where the sound lies: what is wrong with pictures does not matter, as they may be left out
	odd       func() // nil, or called when there is something for which no MP3 counts that is made of a pipe, see outcome.odd
	counts    [findingKinds]int
	complaint string
}

// undecoded begins what a parser says of a track that is not decoded: of pictures, or of a hole in their place. The image's
// ffmpeg has no such parsers.
const undecoded = "[NULL @ "

func newFindings() *findings {
	f := &findings{}
	f.each = f.line
	return f
}

func (f *findings) line(line string) {
	if f.tables && strings.HasPrefix(line, undecoded) {
		return
	}
	complaint := strings.Contains(line, anyError) || strings.Contains(line, "[fatal]")
	if complaint || f.complaint == "" { // an early line may be all that a loader or shell says
		f.complaint = line
	}
	for _, p := range phrases {
		if strings.Contains(line, p.text) {
			f.counts[p.is]++
			if f.odd != nil && p.is != harmless && p.is != noMixing && p.text != anyError { // these two come before a split's probe as well
				f.odd()
			}
			return
		}
	}
}

// any reports whether there is anything but what is harmless.
func (f *findings) any() bool {
	for kind, n := range f.counts {
		if n > 0 && finding(kind) != harmless {
			return true
		}
	}
	return false
}

func (f *findings) has(kind finding) bool { return f.counts[kind] > 0 }
