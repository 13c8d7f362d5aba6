package mp3

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"mp3converter/internal/testmedia"
)

// repack is Repack of a sound whose length is known.
func repack(tb testing.TB, mp3 []byte, samples int) []byte {
	tb.Helper()
	out := &file{}
	j := Joiner{Dst: out, Repack: true, Samples: int64(samples)}
	if err := j.Add(bytes.NewReader(mp3), 0); err != nil {
		tb.Fatal(err)
	}
	if err := j.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.b
}

// decoders are commands that turn the MP3 in a file into samples of 32 bits, without the encoder's delay and padding.
func decoders(path string) map[string][]string {
	all := map[string][]string{
		"ffmpeg": {testmedia.FFmpeg, "-v", "error", "-err_detect", "crccheck", "-i", path, "-f", "f32le", "pipe:1"},
	}
	if _, err := exec.LookPath("mpg123"); err == nil {
		all["mpg123"] = []string{"mpg123", "-q", "-e", "f32", "--no-resync", "-s", path}
	}
	return all
}

// decode returns what each decoder makes of the MP3. None may complain.
func decode(tb testing.TB, mp3 []byte) map[string][]byte {
	tb.Helper()
	path, pcm := filepath.Join(tb.TempDir(), "in.mp3"), map[string][]byte{}
	if err := os.WriteFile(path, mp3, 0o600); err != nil {
		tb.Fatal(err)
	}
	for name, command := range decoders(path) {
		cmd := exec.CommandContext(tb.Context(), command[0], command[1:]...)
		var complaints bytes.Buffer
		cmd.Stderr = &complaints
		out, err := cmd.Output()
		if err != nil || complaints.Len() > 0 {
			tb.Fatalf("%s: %v: %s", name, err, complaints.String())
		}
		pcm[name] = out
	}
	return pcm
}

// checkDecodes wants got to decode to as many samples as the sound has, and to the same as want, which may have more.
func checkDecodes(tb testing.TB, s sound, got, want []byte) {
	tb.Helper()
	b, roomy := decode(tb, want), decode(tb, withRoom(tb, want))
	b["mpg123"] = roomy["mpg123"]
	for name, pcm := range decode(tb, got) {
		if n := len(pcm) / 4 / s.channels; n != s.length() {
			tb.Errorf("%s decodes %d samples, of a sound of %d", name, n, s.length())
		} else if len(b[name]) < len(pcm) || !bytes.Equal(pcm, b[name][:len(pcm)]) {
			tb.Errorf("%s decodes other samples", name)
		}
	}
}

// withRoom is the MP3 with the next bitrate for each frame: mpg123 may misread those of LAME's that are full, see readAhead.
func withRoom(tb testing.TB, mp3 []byte) []byte {
	tb.Helper()
	all := frames(tb, mp3)
	roomy := bytes.Clone(mp3[:TagSize(mp3)+len(all[0])])
	for _, f := range all[1:] {
		index := min(maxIndex, f[2]>>4+1)
		g := make(Frame, sizeAt(f, index))
		copy(g, f)
		g[2] = g[2]&0x0F | index<<4
		roomy = append(roomy, g...)
	}
	return roomy
}

// checkHeader wants the packed MP3 to be sound, and what its header says to be true.
func checkHeader(tb testing.TB, packed, before []byte) {
	tb.Helper()
	got, want := check(tb, packed), check(tb, before)
	if bad := got.Headless + got.Impossible + got.Changes + got.Lost; bad > 0 {
		tb.Errorf("%d of its frames or bytes are wrong: %+v", bad, got)
	}
	size := int64(len(packed) - TagSize(packed))
	if i := got.Info; got.Frames != want.Frames || i.Frames != got.Frames || i.Bytes != size {
		tb.Errorf("%d frames, %d bytes, header %+v; before %d frames, header %+v", got.Frames, size, i, want.Frames, want.Info)
	}
	checkTOC(tb, packed)
}

// checkTOC wants each entry of the seek table to lead within one percent of the time, or two frames, of the right place, as
// well as 256ths of the bytes can say it.
func checkTOC(tb testing.TB, mp3 []byte) {
	tb.Helper()
	all, at := frames(tb, mp3), 0
	starts := []float64{0} // and the end
	for _, f := range all {
		at += len(f)
		starts = append(starts, float64(at))
	}
	toc := check(tb, mp3).Info.TOC
	if len(toc) != 100 {
		tb.Fatalf("the seek table has %d entries", len(toc))
	}
	near := max(2, len(all)/100)
	for i, place := range toc {
		frame := i * len(all) / 100
		from, to := starts[max(0, frame-near)]/float64(at)*256, starts[min(len(all), frame+near+1)]/float64(at)*256
		if v := float64(place); v < from-1 || v > to {
			tb.Errorf("at %d %% of the time the seek table says %d, want between %.1f and %.1f", i, place, from-1, to)
		}
	}
}

func check(tb testing.TB, mp3 []byte) Facts {
	tb.Helper()
	facts, err := Check(bytes.NewReader(mp3))
	if err != nil {
		tb.Fatal(err)
	}
	return facts
}

// frames are those of an MP3, the header first.
func frames(tb testing.TB, mp3 []byte) []Frame {
	tb.Helper()
	r := NewReader(bytes.NewReader(mp3))
	var all []Frame
	for {
		f, err := r.Next()
		if err != nil {
			return append([]Frame{r.header}, all...)
		}
		all = append(all, bytes.Clone(f))
	}
}

func checkSize(tb testing.TB, packed, before, reservoir []byte) {
	tb.Helper()
	if len(packed) >= len(before) || float64(len(packed)) > 1.002*float64(len(reservoir)) {
		tb.Errorf("%d bytes became %d; LAME with its reservoir writes %d", len(before), len(packed), len(reservoir))
	}
}

// Frames with a CRC are made of LAME's by hand: ffmpeg cannot ask LAME for them.
func TestRepackingWritesCRCsAnew(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"standard", "mono", "voice", "22 kHz"} { // each with a side information of its own
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := profiles[name]
			s := makeSound(3, "music", p.rate, p.channels, 2)
			plain := s.encode(t, 0, s.length(), "-reservoir", "0", "-q:a", p.quality)
			all := frames(t, plain)
			protected := bytes.Clone(plain[:TagSize(plain)+len(all[0])])
			for _, f := range all[1:] {
				protected = append(protected, withCRC(f)...)
			}
			packed := repack(t, protected, s.length())
			for i, f := range frames(t, packed)[1:] {
				if !f.protected() {
					t.Fatalf("frame %d has lost its CRC", i)
				}
			}
			checkDecodes(t, s, packed, plain)
		})
	}
}

// Without room mpg123 decodes these to other samples.
func TestRepackedFramesHaveRoomToReadAhead(t *testing.T) {
	t.Parallel()
	p := profiles["22 kHz"]
	for _, seed := range []uint64{24, 37} {
		s := makeSound(seed, "whisper", p.rate, p.channels, 3)
		mp3 := s.encode(t, 0, s.length(), "-reservoir", "0", "-q:a", p.quality)
		checkDecodes(t, s, repack(t, mp3, s.length()), mp3)
	}
}

// withCRC is the frame with a CRC, one bitrate up where its main data fills it.
func withCRC(f Frame) Frame {
	index, fixed := f[2]>>4, len(f)-len(f.room())
	if fixed+2+f.mainDataSize() > len(f) {
		index++
	}
	g := make(Frame, sizeAt(f, index))
	copy(g, f[:headerSize])
	copy(g[headerSize+2:], f[headerSize:])
	g[1] &^= 1
	g[2] = g[2]&0x0F | index<<4
	g.protect()
	return g
}

// The second frame of a sound that `lame -p -V5 --nores` wrote, as far as the CRC goes.
func TestCRCOfLAME(t *testing.T) {
	t.Parallel()
	lame := Frame("\xff\xfa\x80\x64\xa5\xeb\x00\x00\x01\xd7\x00\xd7\x7d\x04\x00\x00\x00\x00\x0d\x20\xa0\x00\x01\x1c\xe9\xd9\x5f\xf9\xa7\x80\x00\x00\x00\x34\x83\x00\x00\x00")
	ours := Frame(bytes.Clone(lame))
	ours[4], ours[5] = 0, 0
	ours.protect()
	if !bytes.Equal(ours, lame) {
		t.Errorf("CRC %x, LAME writes %x", ours[4:6], lame[4:6])
	}
}

func TestRepackRefuses(t *testing.T) {
	t.Parallel()
	s := makeSound(4, "noise", 44100, 2, 1)
	whole := s.encode(t, 0, s.length(), "-reservoir", "0", "-q:a", "5")
	tag := TagSize(whole)
	header := len(frames(t, whole)[0])
	tooLong := bytes.Clone(whole)
	tooLong[tag+header+4+2] |= 0x0F // part2_3_length of the first granule
	tooLong[tag+header+4+3] |= 0xF0
	for name, mp3 := range map[string][]byte{
		"nothing":            nil,
		"no MP3":             []byte(fmt.Sprint(s.pcm[:1000])),
		"no header":          append(bytes.Clone(whole[:tag]), whole[tag+header:]...),
		"a reservoir":        s.encode(t, 0, s.length(), "-q:a", "5"),
		"cut in a frame":     whole[:len(whole)-10],
		"a lost byte":        append(bytes.Clone(whole[:9000]), whole[9001:]...),
		"too much main data": tooLong,
	} {
		if err := Repack(&file{}, bytes.NewReader(mp3)); err == nil {
			t.Errorf("%s: repacked", name)
		} else {
			t.Log(name, err)
		}
	}
}
