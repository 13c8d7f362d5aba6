package container

import (
	"bytes"
	"slices"
)

// asfHeader is the GUID that an ASF file begins with.
const asfHeader = "\x30\x26\xB2\x75\x8E\x66\xCF\x11\xA6\xD9\x00\xAA\x00\x62\xCE\x6C"

// sniff says by its first bytes which container the file is. Text (playlists, session descriptions) is none.
func (s *source) sniff() kind {
	head := s.upTo(0, 64)
	has := func(at int, magic string) bool {
		return len(head) >= at+len(magic) && string(head[at:at+len(magic)]) == magic
	}
	switch {
	case has(0, "\x1A\x45\xDF\xA3"):
		return kind{format: Matroska}
	case has(0, "RIFF") && (has(8, "AVI ") || has(8, "AVI\x19") || has(8, "AVIX")):
		return kind{format: AVI}
	case (has(0, "RIFF") || has(0, "RF64") || has(0, "BW64")) && has(8, "WAVE"):
		return kind{format: WAV}
	case has(0, "FLV\x01"):
		return kind{format: FLV}
	case has(0, asfHeader):
		return kind{format: ASF}
	case has(0, "OggS\x00"):
		return kind{format: Ogg}
	case s.isMP4():
		return kind{format: MP4}
	}
	if k, ok := s.sniffTS(); ok {
		return k
	}
	return s.sniffAudio()
}

// firstBoxes are what MP4 and QuickTime files begin with.
var firstBoxes = []string{"ftyp", "moov", "mdat", "wide", "free", "skip", "pnot"}

// isMP4 asks for a first box of a known type. Only ftyp is word enough; any other must be followed by one more, or be
// as long as the file, or hold the samples that the file's end was cut off with.
func (s *source) isMP4() bool {
	n := 0
	for b := range s.boxes(0, s.size) {
		switch {
		case !slices.Contains(firstBoxes, b.kind):
			return false
		case b.cut:
			return b.kind == "ftyp" || b.kind == "mdat" || b.kind == "moov"
		case b.kind == "ftyp", b.end == s.size, n > 0:
			return true
		}
		n++
	}
	return false
}

// tsRun is the number of packets in a row that must begin with the sync byte; a shorter file needs all it has, but 3.
const tsRun = 8

func (s *source) sniffTS() (kind, bool) {
	for _, packet := range []int64{188, 192, 204} {
		head := s.upTo(0, int(tsRun+1)*int(packet))
		for start := range min(int(packet), len(head)) {
			if run := syncs(head[start:], int(packet)); run >= tsRun || run >= 3 && int64(len(head)) == s.size {
				return kind{MPEGTS, tsStart(int64(start), packet), packet}, true
			}
		}
	}
	return kind{}, false
}

// syncs counts the packets with a sync byte from the start of b, 0 unless all up to tsRun have one.
func syncs(b []byte, packet int) int {
	n := 0
	for at := 0; at < len(b) && n < tsRun; at += packet {
		if b[at] != 0x47 {
			return 0
		}
		n++
	}
	return n
}

// tsStart is where the first packet begins: M2TS puts four bytes of time before the sync byte.
func tsStart(sync, packet int64) int64 {
	if packet == 192 && sync >= 4 {
		return sync - 4
	}
	return sync
}

// sniffAudio finds a bare audio stream behind any ID3v2 tags. Stations and recorders cut streams anywhere, so frames
// may begin a little later; three headers that lead to each other are no accident.
func (s *source) sniffAudio() kind {
	start := s.skipID3(0)
	b := s.upTo(start, maxField)
	if bytes.HasPrefix(b, []byte("fLaC")) {
		return kind{format: FLAC, start: start}
	}
	reach := 4 << 10 // a frame has at most 2881 bytes (layer 2), 8191 (ADTS)
	if start > 0 {
		reach = maxField // padding that the tag does not count
	}
	for at := range min(reach, len(b)) {
		switch rest := b[at:]; {
		case chained(rest, s.size-start-int64(at), mpegFrame):
			return kind{format: MP3, start: start + int64(at)}
		case chained(rest, s.size-start-int64(at), adtsFrame):
			return kind{format: ADTS, start: start + int64(at)}
		}
	}
	return kind{}
}

// skipID3 returns where the ID3v2 tags at off end. There may be several; more than four are a joke.
func (s *source) skipID3(off int64) int64 {
	for range 4 {
		h := s.bytes(off, 10)
		if h == nil || string(h[:3]) != "ID3" {
			break
		}
		off += 10 + int64(h[6]&0x7f)<<21 + int64(h[7]&0x7f)<<14 + int64(h[8]&0x7f)<<7 + int64(h[9]&0x7f)
		if h[5]&0x10 != 0 {
			off += 10 // a footer
		}
	}
	return off
}
