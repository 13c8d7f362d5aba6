// Package container reads what a media file says of itself: which container it is, how long its sound is declared to be,
// whether its end is missing, and of an MP4 where its sound lies. Package ffmpeg holds what could be decoded against it.
//
// It looks at headers and tables only, decodes nothing and trusts nothing: every read is bounded, every count in the file
// is held against the bytes that are there, and a walk ends after a fixed number of steps. What it cannot make out stays
// unknown; damage is left to ffmpeg to find. How well a missing end shows depends on the container:
//
//	MP4, MOV       sample tables and box sizes: always, and how much is missing. Fragmented: by the size of the last
//	               fragment, by mehd and sidx; not if cut between two fragments without either.
//	Matroska, AVI  the size in the file's head; not in a live recording, which has none (ffmpeg notices a cut element)
//	ASF            the size in the head, but for broadcasts
//	FLV, Ogg, TS   a last tag, page or packet that is not whole; not if cut between two
//	WAV, FLAC      the number of bytes or samples in the head, unless it was written to a pipe
//	MP3            the Xing or Info header, if there is one
//	ADTS           never; in streams without a header, as this one, the frames are counted
package container

import (
	"errors"
	"io"
	"math"
	"time"
)

// Format is a container, by the name of the ffmpeg demuxer that reads it.
type Format string

// The containers that are known.
const (
	MP4      Format = "mov" // MOV, M4A, 3GP too
	Matroska Format = "matroska"
	AVI      Format = "avi"
	FLV      Format = "flv"
	MPEGTS   Format = "mpegts" // packets of 188, 192 (M2TS) or 204 bytes
	ASF      Format = "asf"    // WMV, WMA
	Ogg      Format = "ogg"
	WAV      Format = "wav" // RF64 too
	MP3      Format = "mp3" // layers 1 and 2 too
	FLAC     Format = "flac"
	ADTS     Format = "aac"
)

// Facts are what a file declares. The zero value of each field means unknown.
type Facts struct {
	Format  Format
	Sound   time.Duration // length of the first audio track
	Exact   bool          // Sound is that track's own; otherwise the longest track's, so sound may well be shorter
	Missing time.Duration // of an exact Sound, what would lie beyond the file's end; there may be more
	Cut     bool          // the structure goes on beyond the file's end
	Locked  bool          // the sound is encrypted
	Form    Form          // of the first audio track
	Layer3  bool          // that track is an MP3 within, by the container's word, which may be wrong
}

// Form is what the samples are like by the container's word. It is kept only where that is the last word, as of PCM: most
// decoders know better, and know limits of their own.
type Form struct {
	Channels int64
	Rate     int64 // samples per second
}

// Why there are no facts.
var (
	ErrEmpty   = errors.New("no bytes")
	ErrUnknown = errors.New("no known container")
)

// Read returns the facts of a file of the given size. Errors are ErrEmpty, ErrUnknown, or what reading failed with.
func Read(r io.ReaderAt, size int64) (Facts, error) {
	return (&source{r: r, size: size}).read()
}

// ReadFront is Read of a file that is still to come, from front to back. More says that what lies further on, which is not waited
// for, has more to tell: of an MP4 in fragments, whether its end is missing and how long it is, at which Sound is but a guess.
func ReadFront(r io.ReaderAt, size int64) (_ Facts, more bool, err error) {
	s := &source{r: r, size: size, front: true}
	facts, err := s.read()
	return facts, s.more, err
}

func (s *source) read() (Facts, error) {
	if s.size == 0 {
		return Facts{}, ErrEmpty
	}
	facts := s.facts(s.sniff())
	if s.err != nil {
		return Facts{}, s.err
	}
	if facts.Format == "" {
		return Facts{}, ErrUnknown
	}
	if s.steps > maxSteps {
		return Facts{Format: facts.Format}, nil // a maze: nothing that was found on the way is certain
	}
	facts.Exact = facts.Exact && facts.Sound > 0
	return facts, nil
}

// kind is what sniffing found, and where the container begins: tags may precede it.
type kind struct {
	format Format
	start  int64
	packet int64 // bytes in a packet of MPEGTS
}

func (s *source) facts(k kind) Facts {
	var f Facts
	switch k.format {
	case MP4:
		f = s.mp4()
	case Matroska:
		f = s.matroska()
	case AVI:
		f = s.avi()
	case FLV:
		f = s.flv()
	case ASF:
		f = s.asf()
	case Ogg:
		f = s.ogg()
	case WAV:
		f = s.wav()
	case MP3:
		f = s.mp3(k.start)
	case FLAC:
		f = s.flac(k.start)
	case MPEGTS:
		f.Cut = (s.size-k.start)%k.packet != 0
	case ADTS:
		f = s.stream(k.start, adtsFrame)
	}
	f.Format = k.format
	return f
}

// seconds converts without overflow; nonsense and less than nothing are 0, which is unknown.
func seconds(f float64) time.Duration {
	switch {
	case math.IsNaN(f), f <= 0:
		return 0
	case f >= math.MaxInt64/float64(time.Second):
		return math.MaxInt64
	}
	return time.Duration(f * float64(time.Second))
}

// hertz is a rate in whole numbers; nonsense is 0, which is unknown.
func hertz(f float64) int64 {
	if !(f > 0) { // NaN too
		return 0
	}
	return int64(min(f, math.MaxInt32))
}

// ratio is a/b seconds; 0 if there is no b.
func ratio(a, b float64) time.Duration {
	if b == 0 {
		return 0
	}
	return seconds(a / b)
}
