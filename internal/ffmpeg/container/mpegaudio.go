package container

import "bytes"

// frame is a header of MPEG audio (ISO 11172-3, 13818-3), layers 1 to 3.
type frame struct {
	length  int // bytes
	samples int
	rate    int // samples per second
	side    int // bytes of side information, layer 3: the Xing header follows
	layer3  bool
}

var (
	mpegRates = [4][3]int{ // by version bits: 2.5, reserved, 2, 1
		{11025, 12000, 8000}, {}, {22050, 24000, 16000}, {44100, 48000, 32000},
	}
	mpegKbits = [2][4][15]int{ // MPEG 1 or later; by layer bits: reserved, 3, 2, 1
		{
			{},
			{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
			{0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384},
			{0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448},
		}, {
			{},
			{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
			{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
			{0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256},
		},
	}
)

const (
	mpeg1  = 3 // version bits
	layer3 = 1 // layer bits
	layer1 = 3
	mono   = 3 // mode bits
)

// parseFrame reads a frame header; false if b does not begin with one. Free format, which nobody writes, is none.
func parseFrame(b []byte) (frame, bool) {
	if len(b) < 4 || b[0] != 0xFF || b[1]&0xE0 != 0xE0 {
		return frame{}, false
	}
	version, layer := int(b[1]>>3&3), int(b[1]>>1&3)
	kbit, rate, padding := int(b[2]>>4), int(b[2]>>2&3), int(b[2]>>1&1)
	if version == 1 || layer == 0 || kbit == 0 || kbit == 15 || rate == 3 {
		return frame{}, false
	}
	later := 0
	if version != mpeg1 {
		later = 1
	}
	f := frame{rate: mpegRates[version][rate], samples: 1152, layer3: layer == layer3}
	slot := 1
	switch {
	case layer == layer1:
		f.samples, slot = 384, 4
	case layer == layer3 && later == 1:
		f.samples = 576
	}
	bits := mpegKbits[later][layer][kbit] * 1000 * f.samples / 8
	f.length = (bits/f.rate/slot + padding) * slot
	f.side = sideBytes(later == 1, b[3]>>6 == mono)
	return f, true
}

func sideBytes(later, mono bool) int {
	switch {
	case later && mono:
		return 9
	case later || mono:
		return 17
	}
	return 32
}

// header is what the header of a frame says to those who only follow the stream.
type header struct {
	length  int     // of the frame in bytes; 0 is no header
	shared  uint32  // what all headers of a stream have in common
	seconds float64 // of sound
}

// mpegFrame is parseFrame for a stream, in which version, layer and rate do not change.
func mpegFrame(b []byte) header {
	f, ok := parseFrame(b)
	if !ok {
		return header{}
	}
	return header{f.length, be32(b, 0) & 0xFFFE0C00, float64(f.samples) / float64(f.rate)}
}

var adtsRates = [13]float64{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

// adtsFrame reads the header of an AAC frame: 12 sync bits, layer 0, 13 bits of length, 1024 samples per block.
func adtsFrame(b []byte) header {
	if len(b) < 7 || b[0] != 0xFF || b[1]&0xF6 != 0xF0 || int(b[2]>>2&15) >= len(adtsRates) {
		return header{}
	}
	length := int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5])>>5
	if length < 7 {
		return header{}
	}
	blocks := float64(b[6]&3) + 1
	return header{length, be32(b, 0) & 0xFFFEFDC0, 1024 * blocks / adtsRates[b[2]>>2&15]}
}

// mp3 reads the Xing, Info or VBRI header, which the first frame holds in place of sound.
func (s *source) mp3(start int64) Facts {
	b := s.upTo(start, 2<<10)
	f, ok := parseFrame(b)
	if !ok {
		return Facts{}
	}
	frames, length, cutSamples := xing(b, 4+f.side)
	if at := 4 + 32; frames == 0 && len(b) > at+18 && string(b[at:at+4]) == "VBRI" {
		length, frames = be32(b, at+10), be32(b, at+14)
	}
	if frames == 0 {
		facts := s.stream(start, mpegFrame)
		facts.Layer3 = f.layer3
		return facts
	}
	samples := float64(frames)*float64(f.samples) - float64(cutSamples)
	return Facts{
		Sound:  ratio(samples, float64(f.rate)),
		Exact:  true,
		Cut:    length > 0 && start+int64(length) > s.size,
		Layer3: f.layer3,
	}
}

// xing returns the number of frames and bytes, this frame's bytes included, and the samples at both ends that are not
// sound but the encoder's delay.
func xing(b []byte, at int) (frames, length, delay uint32) {
	if len(b) < at+8 || !bytes.Equal(b[at:at+4], []byte("Xing")) && !bytes.Equal(b[at:at+4], []byte("Info")) {
		return 0, 0, 0
	}
	flags := be32(b, at+4)
	at += 8
	if flags&1 != 0 {
		frames = be32(b, at)
		at += 4
	}
	if flags&2 != 0 {
		length = be32(b, at)
		at += 4
	}
	if flags&4 != 0 {
		at += 100 // seek table
	}
	if flags&8 != 0 {
		at += 4 // quality
	}
	if len(b) > at+24 && (b[at] == 'L' || b[at] == 'l') { // LAME's extension, which Lavc writes too
		both := be32(b, at+20) & 0xFFFFFF
		delay = both>>12 + both&0xFFF
	}
	return frames, length, delay
}
