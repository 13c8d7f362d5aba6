package container

import "bytes"

// flv reads the duration in onMetaData, and whether the last tag is whole: behind each stands its size.
func (s *source) flv() Facts {
	var f Facts
	first := int64(be32(s.bytes(5, 4), 0)) + 4
	if tag := s.upTo(first, 4<<10); len(tag) > 11 && tag[0]&0x1F == flvScript {
		if at := bytes.Index(tag, []byte("\x00\x08duration\x00")); at >= 0 {
			f.Sound = seconds(float(tag[min(at+11, len(tag)):min(at+19, len(tag))]))
		}
	}
	f.Cut = !s.endsInTag()
	return f
}

// Kinds of FLV tags.
const (
	flvAudio  = 8
	flvVideo  = 9
	flvScript = 18
)

func (s *source) endsInTag() bool {
	size := int64(be32(s.bytes(s.size-4, 4), 0))
	tag := s.bytes(s.size-4-size, 11)
	if tag == nil {
		return false
	}
	kind := tag[0] & 0x1F
	return (kind == flvAudio || kind == flvVideo || kind == flvScript) && int64(be32(tag, 0)&0xFFFFFF)+11 == size
}

// maxPage is the longest page of Ogg (RFC 3533): a head of 27 bytes, a table of 255, and 255 segments of 255 bytes.
const maxPage = 27 + 255 + 255*255

// ogg looks whether the last page is whole. How long the sound is stands nowhere.
func (s *source) ogg() Facts {
	from := max(0, s.size-maxPage)
	b := append(s.upTo(from, maxField), s.upTo(from+maxField, maxPage-maxField)...)
	at := bytes.LastIndex(b, []byte("OggS"))
	if at < 0 {
		return Facts{}
	}
	page := b[at:]
	if len(page) < 27 || len(page) < 27+int(page[26]) {
		return Facts{Cut: true}
	}
	size := 27 + int(page[26])
	for _, n := range page[27:size] {
		size += int(n)
	}
	return Facts{Cut: size > len(page)}
}

const (
	asfFileProperties = "\xA1\xDC\xAB\x8C\x47\xA9\xCF\x11\x8E\xE4\x00\xC0\x0C\x20\x53\x65"
	asfBroadcast      = 1 // flag: sizes and durations are not known
)

// asf reads the file properties in the head: the file's size and its play time, a lead-in included.
func (s *source) asf() Facts {
	end := le64(s.bytes(16, 8), 0)
	for at := int64(30); at < s.size && uint64(at) < end && s.step(); {
		h := s.bytes(at, 92)
		if h == nil {
			break
		}
		if string(h[:16]) == asfFileProperties {
			if le32(h, 88)&asfBroadcast != 0 {
				break
			}
			play, lead := float64(le64(h, 64))/1e7, float64(le64(h, 80))/1e3
			return Facts{Sound: seconds(play - lead), Cut: le64(h, 40) > uint64(s.size)} //nolint:gosec // a size
		}
		size := le64(h, 16)
		if size < 24 || size > uint64(s.size) { //nolint:gosec // a size
			break
		}
		at += int64(size) //nolint:gosec // at most the file's size
	}
	return Facts{}
}

// flac reads the number of samples from STREAMINFO: 20 bits of rate, 3 of channels, 5 of depth, 36 of samples.
func (s *source) flac(start int64) Facts {
	bits := be64(s.bytes(start+18, 8), 0)
	return Facts{Exact: true, Sound: ratio(float64(bits&(1<<36-1)), float64(bits>>44))}
}
