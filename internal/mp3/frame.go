package mp3

import "encoding/binary"

// A Frame is one whole frame of layer III: header, CRC if it has one, side information, main data. The methods are for
// frames that a Reader returned; they rely on its length.
type Frame []byte

// By the two version bits of a header: MPEG 2.5, reserved, MPEG 2, MPEG 1.
var (
	rates = [4][3]int{{11025, 12000, 8000}, {}, {22050, 24000, 16000}, {44100, 48000, 32000}}
	kbits = [4][15]int{lowKbits, {}, lowKbits, {0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320}}

	lowKbits = [15]int{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160}
)

const (
	mpeg1      = 3 // version bits
	layer3     = 1 // layer bits
	mono       = 3 // mode bits
	headerSize = 4
	maxFrame   = 1441 // 320 kb/s at 32 kHz, padded
	maxIndex   = 14   // of a bitrate
)

// sizeOf returns the bytes of the frame that begins with the header; 0 if it is none. Free format is none: it states no
// size, and nobody writes it.
func sizeOf(b []byte) int {
	if len(b) < headerSize || b[0] != 0xFF || b[1]&0xE0 != 0xE0 || b[1]>>1&3 != layer3 {
		return 0
	}
	version, index := b[1]>>3&3, b[2]>>4
	if version == 1 || index == 0 || index > maxIndex || b[2]>>2&3 == 3 {
		return 0
	}
	return sizeAt(b, index)
}

// sizeAt is sizeOf a valid header with another bitrate.
func sizeAt(b []byte, index byte) int {
	version := b[1] >> 3 & 3
	bytes := samples(version) / 8 * kbits[version][index] * 1000 / rates[version][b[2]>>2&3]
	return bytes + int(b[2]>>1&1)
}

func samples(version byte) int {
	if version == mpeg1 {
		return 1152
	}
	return 576
}

// shared is what all headers of a stream have in common: sync, version, layer, rate, and whether it is mono.
func shared(b []byte) uint32 {
	h := binary.BigEndian.Uint32(b) & 0xFFFE0C00
	if b[3]>>6 == mono {
		h |= 1
	}
	return h
}

func (f Frame) mpeg1() bool { return f[1]>>3&3 == mpeg1 }

// Rate is in samples per second.
func (f Frame) Rate() int { return rates[f[1]>>3&3][f[2]>>2&3] }

// Bitrate is in bits per second.
func (f Frame) Bitrate() int { return kbits[f[1]>>3&3][f[2]>>4] * 1000 }

// Samples is how long the frame sounds, in samples of each channel.
func (f Frame) Samples() int { return samples(f[1] >> 3 & 3) }

// Channels is 1 or 2.
func (f Frame) Channels() int {
	if f[3]>>6 == mono {
		return 1
	}
	return 2
}

// protected tells whether a CRC lies between header and side information.
func (f Frame) protected() bool { return f[1]&1 == 0 }

func (f Frame) sideAt() int {
	if f.protected() {
		return headerSize + 2
	}
	return headerSize
}

func (f Frame) sideSize() int {
	switch {
	case f.mpeg1() && f.Channels() == 2:
		return 32
	case f.mpeg1() || f.Channels() == 2:
		return 17
	}
	return 9
}

func (f Frame) side() []byte { return f[f.sideAt():][:f.sideSize()] }

// room is where main data can lie, of this frame and of the ones after it.
func (f Frame) room() []byte { return f[f.sideAt()+f.sideSize():] }

// MainDataBegin is by how many bytes of the frames before it, headers and side information left out, the frame's main data
// begins before the frame's own.
func (f Frame) MainDataBegin() int {
	side := f.side()
	if f.mpeg1() {
		return int(side[0])<<1 | int(side[1]>>7)
	}
	return int(side[0])
}

// maxBegin is the largest MainDataBegin that the side information can state.
func (f Frame) maxBegin() int {
	if f.mpeg1() {
		return 511
	}
	return 255
}

// setMainDataBegin changes the frame; n is at most maxBegin.
func (f Frame) setMainDataBegin(n int) {
	side := f.side()
	if f.mpeg1() {
		side[0], side[1] = byte(n>>1), side[1]&0x7F|byte(n&1)<<7 //nolint:gosec // see above
	} else {
		side[0] = byte(n) //nolint:gosec // see above
	}
}

// granules calls visit with part2_3_length, in bits, and big_values of each granule and channel.
func (f Frame) granules(visit func(bits, big int)) {
	side := f.side()
	f.each(func(at int) { visit(bitsAt(side, at, 12), bitsAt(side, at+12, 9)) })
}

// each calls visit with the bit of the side information at which each granule and channel begins.
func (f Frame) each(visit func(at int)) {
	channels := f.Channels()
	at, size, granules := 8+channels, 63, 1 // MPEG 2: begin, private bits
	if f.mpeg1() {
		at, size, granules = 18+2*(channels-1), 59, 2 // begin, private bits, scfsi
	}
	for range granules * channels {
		visit(at)
		at += size
	}
}

// bitsAt reads n <= 16 bits.
func bitsAt(b []byte, at, n int) int {
	v := 0
	for i := at / 8; i < (at+n+7)/8; i++ {
		v = v<<8 | int(b[i])
	}
	return v >> (7 - (at+n-1)%8) & (1<<n - 1)
}

// MainDataBits is how many bits of main data the side information claims.
func (f Frame) MainDataBits() int {
	sum := 0
	f.granules(func(bits, _ int) { sum += bits })
	return sum
}

// mainDataSize is MainDataBits in bytes: main data begins at whole ones.
func (f Frame) mainDataSize() int { return (f.MainDataBits() + 7) / 8 }

// Silent tells whether the frame holds no sound worth comparing: in no granule and channel a value beyond ±1. Encodes that
// differ in everything else agree on such frames.
func (f Frame) Silent() bool {
	silent := true
	f.granules(func(bits, big int) { silent = silent && (bits == 0 || big == 0) })
	return silent
}

// protect writes the CRC of a protected frame anew: of the second half of the header and the side information.
func (f Frame) protect() {
	if !f.protected() {
		return
	}
	crc := uint16(0xFFFF)
	for _, part := range [][]byte{f[2:4], f.side()} {
		for _, b := range part {
			crc ^= uint16(b) << 8
			for range 8 {
				crc = crc<<1 ^ 0x8005*(crc>>15)
			}
		}
	}
	binary.BigEndian.PutUint16(f[headerSize:], crc)
}
