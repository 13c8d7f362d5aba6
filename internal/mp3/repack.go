package mp3

import (
	"errors"
	"fmt"
	"io"
)

// Repack copies the MP3, whose encoder did not use the bit reservoir, and makes it smaller: the main data of each frame moves
// into what the frames before it leave free, and the frame gets the smallest bitrate that has room for the rest. The main
// data itself stays as it is, bit for bit, so that it decodes to the same samples.
func Repack(dst io.WriteSeeker, src io.Reader) error {
	j := Joiner{Dst: dst, Repack: true}
	if err := j.Add(src, 0); err != nil {
		return err
	}
	return j.Close()
}

// A packer moves main data. It holds the frames that still have room within reach, some 500 bytes of them.
type packer struct {
	write func(Frame) error

	open []Frame // not full yet
	used int     // bytes of open[0]'s room
	free int     // bytes in open
}

func (p *packer) add(f Frame) error {
	data, err := mainData(f)
	if err != nil {
		return err
	}
	if err := p.forget(f.maxBegin()); err != nil {
		return err
	}
	packed, err := p.fit(f, len(data))
	if err != nil {
		return err
	}
	p.open = append(p.open, packed)
	p.free += len(packed.room())
	return p.place(data)
}

// mainData is the part of a frame's room that is in use; what is behind is filling.
func mainData(f Frame) ([]byte, error) {
	if f.MainDataBegin() != 0 {
		return nil, errReservoir
	}
	size := f.mainDataSize()
	if size > len(f.room()) {
		return nil, fmt.Errorf("mp3: a frame of %d bytes claims %d of main data", len(f), size)
	}
	return f.room()[:size], nil
}

// readAhead is how many bytes mpg123 takes from behind the main data. Where there are fewer, it loses its place: a short
// granule at the end of a frame without any is misread (1.31; LAME's own frames are too). They are not lost, but the next
// frame's.
const readAhead = 8

// fit returns the frame without main data, in the smallest size that leaves room for so many bytes, the free ones before it
// included.
func (p *packer) fit(f Frame, size int) (Frame, error) {
	fixed, index := len(f)-len(f.room()), byte(1)
	for index < maxIndex && p.free+sizeAt(f, index)-fixed < size+readAhead {
		index++
	}
	packed := make(Frame, sizeAt(f, index))
	if p.free+len(packed)-fixed < size {
		return nil, errors.New("mp3: a frame fits no bitrate") // never: it had one
	}
	copy(packed, f[:fixed])
	packed[2] = packed[2]&0x0F | index<<4
	packed.setMainDataBegin(p.free)
	packed.protect()
	return packed, nil
}

// place writes data to the free bytes, and the frames that are full then.
func (p *packer) place(data []byte) error {
	for {
		n := copy(p.open[0].room()[p.used:], data)
		data = data[n:]
		p.used += n
		p.free -= n
		if len(p.open) > 1 && p.used == len(p.open[0].room()) {
			if err := p.shut(); err != nil {
				return err
			}
			continue
		}
		if len(data) == 0 {
			return nil
		}
	}
}

// shut writes the first open frame.
func (p *packer) shut() error {
	f := p.open[0]
	p.free -= len(f.room()) - p.used
	p.open, p.used = p.open[1:], 0
	return p.write(f)
}

// forget gives up free bytes that are out of reach of a main_data_begin.
func (p *packer) forget(reach int) error {
	for p.free > reach {
		left := len(p.open[0].room()) - p.used
		if left > p.free-reach {
			p.used += p.free - reach
			p.free = reach
			return nil
		}
		if err := p.shut(); err != nil {
			return err
		}
	}
	return nil
}

// flush writes what is held.
func (p *packer) flush() error {
	for len(p.open) > 0 {
		if err := p.shut(); err != nil {
			return err
		}
	}
	return nil
}
