package mp3

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"
)

// Info is what the header frame of a stream says of it: Xing, or Info where all frames have one bitrate, with LAME's
// extension; or VBRI. Zero is what it does not say.
type Info struct {
	Frames  int64  // the header not counted
	Bytes   int64  // the header counted, tags not
	Encoder string // as "Lavc59.37" or "LAME3.100"
	Delay   int    // samples at the beginning that are not sound, besides the decoder's own 529
	Padding int    // samples at the end that are not sound, 529 of them the decoder's
	TOC     []byte // 100 places: where in Bytes, in 256ths, each hundredth of the time begins

	rate, frame int // samples of a second and of a frame
}

// Samples is how long the sound is, of each channel, when played without gaps.
func (i Info) Samples() int64 {
	return max(0, i.Frames*int64(i.frame)-int64(i.Delay)-int64(i.Padding))
}

// Duration is how long the sound lasts when played without gaps.
func (i Info) Duration() time.Duration {
	if i.rate == 0 {
		return 0
	}
	whole, rest := i.Samples()/int64(i.rate), i.Samples()%int64(i.rate)
	return time.Duration(whole)*time.Second + time.Duration(rest)*time.Second/time.Duration(i.rate)
}

// Where the parts of a Xing header with all its parts lie, from its name on; and LAME's extension behind it.
const (
	atFlags    = 4
	atFrames   = 8
	atBytes    = 12
	atTOC      = 16
	tocSize    = 100
	atExtra    = 120 // LAME's: encoder
	atDelay    = 141 // 12 bits of delay, 12 of padding
	atMusic    = 148 // bytes, once more
	atMusicCRC = 152
	atTagCRC   = 154
	xingSize   = 156

	allParts = 0x0F // flags: frames, bytes, TOC, quality
)

// xingAt is where the name lies; 0 if there is none. With a CRC it may be counted or not, by the encoder's taste.
func (f Frame) xingAt() int {
	for _, at := range []int{headerSize + f.sideSize(), f.sideAt() + f.sideSize()} {
		if len(f) >= at+8 && (string(f[at:at+4]) == "Xing" || string(f[at:at+4]) == "Info") {
			return at
		}
	}
	return 0
}

const atVBRI = headerSize + 32

func (f Frame) isVBRI() bool { return len(f) >= atVBRI+18 && string(f[atVBRI:atVBRI+4]) == "VBRI" }

// isHeader tells whether the frame describes the stream instead of sounding.
func isHeader(f Frame) bool { return f.xingAt() > 0 || f.isVBRI() }

// isComplete tells whether the header has all parts, as ffmpeg and LAME write it.
func isComplete(f Frame) bool {
	at := 0
	if f != nil {
		at = f.xingAt()
	}
	return at > 0 && len(f) >= at+xingSize && binary.BigEndian.Uint32(f[at+atFlags:])&allParts == allParts
}

func parseInfo(f Frame) (Info, bool) {
	if f == nil {
		return Info{}, false
	}
	i := Info{rate: f.Rate(), frame: f.Samples()}
	at := f.xingAt()
	if at == 0 {
		i.Bytes = int64(binary.BigEndian.Uint32(f[atVBRI+10:]))
		i.Frames = int64(binary.BigEndian.Uint32(f[atVBRI+14:]))
		return i, true
	}
	rest, flags := f[at+8:], binary.BigEndian.Uint32(f[at+atFlags:])
	part := func(flag uint32, size int) []byte {
		if flags&flag == 0 || len(rest) < size {
			return nil
		}
		p := rest[:size]
		rest = rest[size:]
		return p
	}
	if p := part(1, 4); p != nil {
		i.Frames = int64(binary.BigEndian.Uint32(p))
	}
	if p := part(2, 4); p != nil {
		i.Bytes = int64(binary.BigEndian.Uint32(p))
	}
	i.TOC = bytes.Clone(part(4, tocSize))
	part(8, 4) // quality
	if len(rest) >= 24 && rest[0]|0x20 == 'l' {
		i.Encoder = string(bytes.TrimRight(rest[:9], "\x00 "))
		both := int(rest[21])<<16 | int(rest[22])<<8 | int(rest[23])
		i.Delay, i.Padding = both>>12, both&0xFFF
	}
	return i, true
}

// A tally is what a header says of the frames, counted as ffmpeg's muxer does, which follows LAME.
type tally struct {
	frames, bytes int64
	crc           uint16 // of all frames
	bitrate       int    // of the first frame
	variable      bool

	// The seek table's sources: the bytes after each step of frames, at most 400 of them.
	marks []int64
	step  int64
}

const maxMarks = 400

// newTally begins behind the header.
func newTally(header Frame) *tally {
	return &tally{bytes: int64(len(header)), step: 1, marks: make([]int64, 0, maxMarks)}
}

func (t *tally) add(f Frame) {
	if t.frames == 0 {
		t.bitrate = f.Bitrate()
	}
	t.variable = t.variable || f.Bitrate() != t.bitrate
	t.frames++
	t.bytes += int64(len(f))
	t.crc = crc16(t.crc, f)
	if t.frames%t.step != 0 {
		return
	}
	t.marks = append(t.marks, t.bytes)
	if len(t.marks) == maxMarks {
		for i := range maxMarks / 2 {
			t.marks[i] = t.marks[2*i+1]
		}
		t.marks = t.marks[:maxMarks/2]
		t.step *= 2
	}
}

// header returns the header of the frames counted. What only the encoder can say is from its own headers: delay and padding
// from that of the last segment, the rest from that of the first. The padding follows from samples, if they are known.
func (t *tally) header(first, last Frame, samples int64) Frame {
	f := slices.Clone(first)
	x := f[f.xingAt():]
	copy(x, "Info")
	if t.variable {
		copy(x, "Xing")
	}
	binary.BigEndian.PutUint32(x[atFrames:], uint32(t.frames)) //nolint:gosec // ffmpeg wraps as well
	binary.BigEndian.PutUint32(x[atBytes:], uint32(t.bytes))   //nolint:gosec // as above
	copy(x[atTOC:][:tocSize], t.toc())
	copy(x[atDelay:][:3], last[last.xingAt()+atDelay:])
	if samples > 0 {
		t.pad(x[atDelay:], int64(f.Samples()), samples)
	}
	binary.BigEndian.PutUint32(x[atMusic:], uint32(t.bytes)) //nolint:gosec // as above
	binary.BigEndian.PutUint16(x[atMusicCRC:], t.crc)
	binary.BigEndian.PutUint16(x[atTagCRC:], 0)
	binary.BigEndian.PutUint16(x[atTagCRC:], tagCRC(f))
	return f
}

// pad corrects the padding in the three bytes of delay and padding. One that they cannot hold is a mistake of the caller's.
func (t *tally) pad(b []byte, frame, samples int64) {
	delay := int64(b[0])<<4 | int64(b[1]>>4)
	padding := min(0xFFF, max(0, t.frames*frame-delay-samples))
	b[1], b[2] = b[1]&0xF0|byte(padding>>8), byte(padding) //nolint:gosec // 12 bits
}

func (t *tally) toc() []byte {
	toc := make([]byte, tocSize)
	for i := 1; i < tocSize && len(t.marks) > 0; i++ {
		toc[i] = byte(min(255, 256*t.marks[i*len(t.marks)/tocSize]/t.bytes)) //nolint:gosec // below 256
	}
	return toc
}

// tagCRC is of the first 190 bytes: in MPEG 1 stereo what is before the CRC. LAME stops before it elsewhere too; ffmpeg does
// not, and a shorter frame counts as followed by zeros.
func tagCRC(f Frame) uint16 {
	const size = 190
	b := make([]byte, size)
	copy(b, f)
	return crc16(0, b)
}

// crcTables hold what a byte does to the CRC, and what it does so many bytes later.
var crcTables = func() (tables [8][256]uint16) {
	for i := range tables[0] {
		crc := uint16(i)
		for range 8 {
			crc = crc>>1 ^ 0xA001*(crc&1)
		}
		tables[0][i] = crc
	}
	for n := range tables[1:] {
		for i, crc := range tables[n] {
			tables[n+1][i] = crc>>8 ^ tables[0][byte(crc)]
		}
	}
	return tables
}()

// crc16 is CRC-16 (ARC), as LAME has it in its headers. Eight bytes at once take a third of the time: all of an MP3 goes through it.
func crc16(crc uint16, b []byte) uint16 {
	t := &crcTables
	for ; len(b) >= 8; b = b[8:] {
		crc = t[7][byte(crc)^b[0]] ^ t[6][byte(crc>>8)^b[1]] ^ t[5][b[2]] ^ t[4][b[3]] ^ t[3][b[4]] ^ t[2][b[5]] ^ t[1][b[6]] ^ t[0][b[7]] //nolint:gosec // bytes
	}
	for _, c := range b {
		crc = crc>>8 ^ t[0][byte(crc)^c] //nolint:gosec // the low byte
	}
	return crc
}
