package mp3

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

func TestSetGap(t *testing.T) {
	t.Parallel()
	const tag = 45 // ffmpeg's, with its name
	for name, s := range map[string]sound{"stereo": makeSound(1, "music", 44100, 2, 1), "mono, MPEG 2": makeSound(1, "music", 22050, 1, 1)} {
		before := s.encode(t, 0, s.length())
		path := filepath.Join(t.TempDir(), "x.mp3")
		if err := os.WriteFile(path, before, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := SetGap(f, tag, 0x123, 0xABC); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		after, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		facts, err := Check(bytes.NewReader(after))
		if err != nil || facts.Info.Delay != 0x123 || facts.Info.Padding != 0xABC {
			t.Errorf("%s: delay %d, padding %d, %v", name, facts.Info.Delay, facts.Info.Padding, err)
		}
		header := Frame(after[tag:][:sizeOf(after[tag:])])
		crc := header[header.xingAt()+atTagCRC:][:2]
		said := binary.BigEndian.Uint16(crc)
		crc[0], crc[1] = 0, 0
		if want := tagCRC(header); said != want {
			t.Errorf("%s: the header's CRC is %x, want %x", name, said, want)
		}
		at := bytes.Index(before, []byte("Lavc")) - atExtra
		copy(after[at+atDelay:], before[at+atDelay:][:3])
		copy(after[at+atTagCRC:], before[at+atTagCRC:][:2])
		if !bytes.Equal(before, after) {
			t.Errorf("%s: something else has changed", name)
		}
		if err := SetGap(f, tag+1, 0, 0); err == nil {
			t.Errorf("%s: no error where there is no header", name)
		}
	}
}

// A granule that switches windows and names no kind of block is what decoders refuse.
func TestNoKindOfBlock(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]sound{"stereo": makeSound(2, "music", 44100, 2, 1), "mono, MPEG 2": makeSound(2, "music", 22050, 1, 1)} {
		mp3 := s.encode(t, 0, s.length())
		whole, err := Check(bytes.NewReader(mp3))
		if err != nil || whole.Impossible != 0 {
			t.Fatalf("%s: %+v, %v", name, whole, err)
		}
		r := NewReader(bytes.NewReader(mp3))
		for range 20 {
			f, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			at, broken := bytes.Index(mp3, f), 0
			f.each(func(granule int) {
				damaged := bytes.Clone(mp3)
				bit := granule + 33
				if !f.mpeg1() {
					bit += 5
				}
				for i, v := range []byte{1, 0, 0} {
					b, mask := &damaged[at+f.sideAt()+(bit+i)/8], byte(0x80>>((bit+i)%8))
					*b = *b&^mask | mask*v
				}
				if facts, err := Check(bytes.NewReader(damaged)); err != nil || facts.Impossible != 1 || facts.Frames != whole.Frames {
					t.Errorf("%s: granule %d: %+v, %v, want one impossible frame", name, broken, facts, err)
				}
				broken++
			})
		}
	}
}
