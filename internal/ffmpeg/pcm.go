package ffmpeg

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// pcm is the sound of a video: a scratch file that a decoder fills with a WAV of 32-bit floats. Where it has been encoded it
// is freed, so that the file holds little of it at a time.
type pcm struct {
	file     *os.File
	rate     int64
	channels int64
	data     int64 // offset of the first sample; 0 until the head is there
	samples  int64 // of each channel, so far
	freed    int64 // offset
}

const floatSize = 4

// frame is how many samples of each channel an MP3 frame holds.
func (p *pcm) frame() int64 {
	const mpeg1, samples = 32000, 1152
	if p.rate < mpeg1 {
		return samples / 2
	}
	return samples
}

func (p *pcm) block() int64             { return p.channels * floatSize }
func (p *pcm) offset(frame int64) int64 { return p.data + frame*p.frame()*p.block() }

// frames is how many whole frames there are so far.
func (p *pcm) frames() int64 {
	if p.data == 0 {
		return 0
	}
	return p.samples / p.frame()
}

// look finds out how much there is by now.
func (p *pcm) look() error {
	info, err := p.file.Stat()
	if err != nil {
		return fmt.Errorf("ffmpeg: sound: %w", err)
	}
	if p.data == 0 {
		if err := p.head(info.Size()); err != nil || p.data == 0 {
			return err
		}
	}
	p.samples = max(0, info.Size()-p.data) / p.block()
	return nil
}

var errNoWAV = errors.New("ffmpeg: decoded to something unknown")

// head reads the head, if it is there.
func (p *pcm) head(size int64) error {
	const (
		most  = 4096
		riff  = 12 // RIFF, size, WAVE
		chunk = 8  // name, size
		float = 3  // so are the samples, and 0xFFFE that this is said elsewhere
	)
	head := make([]byte, min(size, most))
	if _, err := p.file.ReadAt(head, 0); err != nil {
		return fmt.Errorf("ffmpeg: sound: %w", err)
	}
	for at := riff; at+chunk <= len(head); {
		name, body := string(head[at:at+4]), head[at+chunk:]
		length := int(binary.LittleEndian.Uint32(head[at+4:]))
		switch {
		case name == "fmt " && len(body) >= 16:
			if tag := binary.LittleEndian.Uint16(body); tag != float && tag != 0xFFFE || binary.LittleEndian.Uint16(body[14:]) != 8*floatSize {
				return errNoWAV
			}
			p.channels, p.rate = int64(binary.LittleEndian.Uint16(body[2:])), int64(binary.LittleEndian.Uint32(body[4:]))
		case name == "data":
			if p.channels < 1 || p.channels > 2 || p.rate < 8000 || p.rate > 48000 {
				return errNoWAV
			}
			p.data = int64(at + chunk)
			return nil
		}
		at += chunk + length + length%2
	}
	if size >= most {
		return errNoWAV
	}
	return nil
}

// audible is a sample, 60 dB below the loudest, on which LAME certainly spends bits.
const audible = 1e-3

// sounding counts the frames from first on, before end, in which there is something to hear.
func (p *pcm) sounding(first, end int64) (int, error) {
	b := make([]byte, p.offset(end)-p.offset(first))
	if _, err := p.file.ReadAt(b, p.offset(first)); err != nil {
		return 0, fmt.Errorf("ffmpeg: sound: %w", err)
	}
	n := 0
	for frame := range slices.Chunk(b, int(p.frame()*p.block())) {
		for ; len(frame) > 0; frame = frame[floatSize:] {
			if v := math.Float32frombits(binary.LittleEndian.Uint32(frame)); v > audible || v < -audible {
				n++
				break
			}
		}
	}
	return n, nil
}

// tagged tells whether ffmpeg would take the samples there for an ID3 tag, which it looks for in front of anything.
func (p *pcm) tagged(frame int64) (bool, error) {
	var b [3]byte
	if _, err := p.file.ReadAt(b[:], p.offset(frame)); err != nil {
		return false, fmt.Errorf("ffmpeg: sound: %w", err)
	}
	return bytes.Equal(b[:], []byte("ID3")), nil
}

// free gives back the room of what is before the frame.
func (p *pcm) free(before int64) error {
	const page = 1 << 16
	end := p.offset(before) / page * page
	if end <= p.freed {
		return nil
	}
	if err := punch(p.file, p.freed, end-p.freed); err != nil {
		return fmt.Errorf("ffmpeg: free scratch: %w", err)
	}
	p.freed = end
	return nil
}

// punch frees a part of a file, which then reads as zeros.
func punch(f *os.File, at, n int64) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.Fallocate(int(fd), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, at, n)
	})
	return errors.Join(err, failed)
}
