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
	f.Cut, f.Layer3 = !s.endsInTag(), s.flvLayer3(first)
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
	page, form := b[at:], s.oggForm()
	if len(page) < 27 || len(page) < 27+int(page[26]) {
		return Facts{Cut: true, Form: form}
	}
	size := 27 + int(page[26])
	for _, n := range page[27:size] {
		size += int(n)
	}
	return Facts{Cut: size > len(page), Form: form}
}

// oggForm finds the head of Vorbis or Opus in the first pages.
func (s *source) oggForm() Form {
	b := s.upTo(0, 4<<10)
	if at := bytes.Index(b, []byte("\x01vorbis")); at >= 0 && len(b) >= at+16 {
		return Form{int64(b[at+11]), int64(le32(b, at+12))}
	}
	if at := bytes.Index(b, []byte("OpusHead")); at >= 0 && len(b) >= at+10 {
		return Form{Channels: int64(b[at+9])}
	}
	return Form{}
}

const (
	asfStream         = "\x91\x07\xDC\xB7\xB7\xA9\xCF\x11\x8E\xE6\x00\xC0\x0C\x20\x53\x65"
	asfAudio          = "\x40\x9E\x69\xF8\x4D\x5B\xCF\x11\xA8\xFD\x00\x80\x5F\x5C\x44\x2B"
	asfFileProperties = "\xA1\xDC\xAB\x8C\x47\xA9\xCF\x11\x8E\xE4\x00\xC0\x0C\x20\x53\x65"
	asfBroadcast      = 1 // flag: sizes and durations are not known
)

// asf reads the file properties in the head: the file's size and its play time, a lead-in included.
func (s *source) asf() Facts {
	var f Facts
	end := le64(s.bytes(16, 8), 0)
	for at := int64(30); at < s.size && uint64(at) < end && s.step(); {
		h := s.bytes(at, 92)
		if h == nil {
			break
		}
		if string(h[:16]) == asfFileProperties {
			if le32(h, 88)&asfBroadcast == 0 {
				play, lead := float64(le64(h, 64))/1e7, float64(le64(h, 80))/1e3
				f.Sound, f.Cut = seconds(play-lead), le64(h, 40) > uint64(s.size) //nolint:gosec // a size
			}
		}
		if f.Form == (Form{}) && string(h[:16]) == asfStream && string(h[24:40]) == asfAudio {
			f.Form = waveForm(h[78:])
		}
		size := le64(h, 16)
		if size < 24 || size > uint64(s.size) { //nolint:gosec // a size
			break
		}
		at += int64(size) //nolint:gosec // at most the file's size
	}
	return f
}

// flac reads the number of samples from STREAMINFO: 20 bits of rate, 3 of channels, 5 of depth, 36 of samples.
func (s *source) flac(start int64) Facts {
	bits := be64(s.bytes(start+18, 8), 0)
	return Facts{Exact: true, Sound: ratio(float64(bits&(1<<36-1)), float64(bits>>44))}
}
