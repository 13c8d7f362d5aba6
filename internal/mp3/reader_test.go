package mp3

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/iotest"
)

// makeFrame returns a frame of stereo at 44.1 kHz and 128 kb/s that holds nothing but the number.
func makeFrame(n byte) Frame {
	f := make(Frame, 417)
	copy(f, "\xff\xfb\x90\x44")
	for i := 36; i < len(f); i++ {
		f[i] = n
	}
	return f
}

// makeStream returns frames 0 to n-1.
func makeStream(n int) []byte {
	var b []byte
	for i := range n {
		b = append(b, makeFrame(byte(i))...)
	}
	return b
}

// readAll returns the numbers of the frames.
func readAll(t *testing.T, r *Reader) []byte {
	t.Helper()
	var numbers []byte
	for {
		f, err := r.Next()
		if errors.Is(err, io.EOF) {
			return numbers
		}
		if err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, f[len(f)-1])
	}
}

func TestReaderFindsWholeFramesOnly(t *testing.T) {
	t.Parallel()
	id3 := []byte("ID3\x04\x00\x00\x00\x00\x01\x00" + string(make([]byte, 128)))
	withFooter := []byte("ID3\x04\x00\x10\x00\x00\x00\x01x3DI       ")
	ape := []byte("APETAGEX\xd0\x07\x00\x00\x25\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\xa0" + string(make([]byte, 8)) + "value" + "APETAGEX\xd0\x07\x00\x00\x25\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x80" + string(make([]byte, 8)))
	id3v1 := append([]byte("TAG"), make([]byte, 125)...)
	five, all := makeStream(5), []byte{0, 1, 2, 3, 4}
	for name, tt := range map[string]struct {
		in   []byte
		want []byte
		lost int64
	}{
		"nothing":                              {},
		"frames":                               {five, all, 0},
		"one frame":                            {makeFrame(7), []byte{7}, 0},
		"ID3v2 in front":                       {slices.Concat(id3, five), all, 0},
		"two tags in front, one with a footer": {slices.Concat(withFooter, id3, five), all, 0},
		"ID3v1 behind":                         {slices.Concat(five, id3v1), all, 0},
		"one frame, ID3v1 behind":              {slices.Concat(makeFrame(7), id3v1), []byte{7}, 0},
		"APE and ID3v1 behind":                 {slices.Concat(five, ape, id3v1), all, 0},
		"ID3v2 between":                        {slices.Concat(five, id3, five), append(bytes.Clone(all), all...), 0},
		"cut in the first frame":               {five[100:], all[1:], 317},
		"cut in the last frame":                {five[:len(five)-1], all[:4], 416},
		"a byte lost":                          {slices.Delete(bytes.Clone(five), 600, 601), []byte{0, 0xFF, 3, 4}, 416},
		"a byte too many":                      {slices.Insert(bytes.Clone(five), 2*417, 0xFF), all, 1},
		"a header damaged":                     {slices.Replace(bytes.Clone(five), 2*417, 2*417+1, 0), []byte{0, 1, 3, 4}, 417},
		"a header alone":                       {makeFrame(7)[:4], nil, 4},
		"half a header":                        {slices.Concat(five, []byte{0xFF, 0xFB}), all, 2},
		"a header in noise":                    {slices.Concat(makeFrame(7)[:4], make([]byte, 600), five), all, 604},
		"a tag that lies about its end":        {slices.Concat(five, []byte("ID3\x04\x00\x00\x7f\x7f\x7f\x7f"), five), all, 0},
		"a header in noise, later":             {slices.Concat(five, make([]byte, 10), makeFrame(7)[:4], make([]byte, 600), five), append(bytes.Clone(all), all...), 614},
		"a tag's name in noise":                {slices.Concat(five, []byte("\x00TAG"), five), append(bytes.Clone(all), all...), 4},
		"the end of an APE tag":                {slices.Concat(five, ape[len(ape)-32:], five), append(bytes.Clone(all), all...), 32},
		"free format":                          {bytes.Repeat([]byte("\xff\xfb\x00\x44xxxxxxxx"), 10), nil, 120},
		"layer II":                             {bytes.Repeat([]byte("\xff\xfd\x90\x44"), 10), nil, 40},
	} {
		t.Run(name, func(t *testing.T) {
			for how, r := range map[string]io.Reader{
				"at once": bytes.NewReader(tt.in), "byte by byte": iotest.OneByteReader(bytes.NewReader(tt.in)),
			} {
				reader := NewReader(r)
				if got := readAll(t, reader); !bytes.Equal(got, tt.want) || reader.Lost() != tt.lost {
					t.Errorf("%s: frames %v, %d bytes lost; want %v, %d", how, got, reader.Lost(), tt.want, tt.lost)
				}
			}
		})
	}
}

func TestReaderPassesErrorsOn(t *testing.T) {
	t.Parallel()
	for _, at := range []int{0, 3, 417, 500} {
		r := NewReader(io.MultiReader(bytes.NewReader(makeStream(2)[:at]), iotest.ErrReader(errors.ErrUnsupported)))
		var err error
		for err == nil {
			_, err = r.Next()
		}
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("after %d bytes: %v", at, err)
		}
	}
}

// Sizes of frames are the standard's formula; these are as LAME writes them.
func TestFrames(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"\xff\xfb\x90\x44": "417 bytes, 44100 Hz, 2 channels, 1152 samples, 128000 b/s, 32 side, 511 back",
		"\xff\xfb\x92\x44": "418 bytes, 44100 Hz, 2 channels, 1152 samples, 128000 b/s, 32 side, 511 back",
		"\xff\xfb\x14\xc4": "96 bytes, 48000 Hz, 1 channels, 1152 samples, 32000 b/s, 17 side, 511 back",
		"\xff\xfb\xea\x04": "1441 bytes, 32000 Hz, 2 channels, 1152 samples, 320000 b/s, 32 side, 511 back",
		"\xff\xf3\x84\xc4": "192 bytes, 24000 Hz, 1 channels, 576 samples, 64000 b/s, 9 side, 255 back",
		"\xff\xf2\x14\x04": "24 bytes, 24000 Hz, 2 channels, 576 samples, 8000 b/s, 17 side, 255 back",
		"\xff\xe3\xe8\x04": "1440 bytes, 8000 Hz, 2 channels, 576 samples, 160000 b/s, 17 side, 255 back",
	} {
		size := sizeOf([]byte(header))
		f := make(Frame, size)
		copy(f, header)
		got := fmt.Sprintf("%d bytes, %d Hz, %d channels, %d samples, %d b/s, %d side, %d back",
			size, f.Rate(), f.Channels(), f.Samples(), f.Bitrate(), len(f.side()), f.maxBegin())
		if got != want {
			t.Errorf("%x is %s, want %s", header, got, want)
		}
		f.setMainDataBegin(f.maxBegin() - 2)
		if f.MainDataBegin() != f.maxBegin()-2 {
			t.Errorf("%x: main data begins %d bytes before, want %d", header, f.MainDataBegin(), f.maxBegin()-2)
		}
	}
	for _, header := range []string{"\xff\xfb\xf0\x44", "\xff\xfb\x9c\x44", "\xff\xeb\x90\x44", "\xff\xfd\x90\x44", "\xfe\xfb\x90\x44", "\xff\xfb\x00\x44"} {
		if size := sizeOf([]byte(header)); size != 0 {
			t.Errorf("%x is a frame of %d bytes", header, size)
		}
	}
}

// Whatever the bytes, everything ends, and what is a frame and what is lost is all there is.
func FuzzReader(f *testing.F) {
	f.Add(makeStream(3))
	f.Add([]byte("ID3\x04\x00\x10\x7f\x7f\x7f\x7f"))
	f.Add(slices.Concat([]byte("\xff\xf2\x14\x04"), make([]byte, 20), []byte("\xff\xf2\x14\x04"), make([]byte, 20)))
	xing := makeFrame(0)
	copy(xing[36:], "Xing\x00\x00\x00\x0f")
	f.Add(slices.Concat([]byte(xing), makeStream(3)))
	copy(xing[36:], "VBRI\x00\x01")
	f.Add(slices.Concat([]byte(xing), makeStream(3)))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewReader(bytes.NewReader(b))
		total := int64(0)
		for {
			f, err := r.Next()
			if err != nil {
				break
			}
			if sizeOf(f) != len(f) {
				t.Fatalf("a frame of %d bytes has a header of %d", len(f), sizeOf(f))
			}
			total += int64(len(f))
		}
		if total+r.Lost() > int64(len(b)) {
			t.Errorf("%d bytes of frames and %d lost, of %d", total, r.Lost(), len(b))
		}
		facts, err := Check(bytes.NewReader(b))
		if err != nil || facts.Impossible+facts.Headless > facts.Frames {
			t.Errorf("%+v, %v", facts, err)
		}
		out := &file{}
		if Repack(out, bytes.NewReader(b)) == nil {
			if after := check(t, out.b); after.Frames != facts.Frames || after.Impossible != facts.Impossible || after.Headless+after.Lost > 0 {
				t.Errorf("repacked: %+v, before: %+v", after, facts)
			}
		}
		j := Joiner{Dst: &file{}}
		if j.Add(bytes.NewReader(b), 0) == nil && j.Add(bytes.NewReader(b), 1) == nil {
			_ = j.Close()
		}
	})
}
