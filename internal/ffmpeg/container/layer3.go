package container

import "bytes"

// Which tracks are MPEG audio, layer III, by their containers' word. It is a hint: some words mean layers 1 and 2 too, and
// whoever takes the frames as they are has to look at them. A container that is not here, as MPEG-TS, has no word for it.

const (
	waveMP3    = 0x55        // WAVEFORMAT's tag
	matroskaL3 = "A_MPEG/L3" // Matroska's codec
)

// isWaveMP3 looks at the tag that a WAVEFORMAT begins with.
func isWaveMP3(h []byte) bool { return len(h) > 1 && h[0] == waveMP3 && h[1] == 0 }

// layer3Entry reads the sample description of an MP4 track behind the head of stsd.
func layer3Entry(stsd []byte) bool {
	switch codec := string(tail(stsd[:min(16, len(stsd))], 12)); codec {
	case ".mp3", "mp3 ", "ms\x00U":
		return true
	case "mp4a":
		at := bytes.Index(stsd, []byte("esds"))
		return at > 0 && layer3Object(tail(stsd, at+8))
	}
	return false
}

// The descriptors of ISO 14496-1 that lead to what the sound is.
const (
	esDescriptor     = 3
	configDescriptor = 4
	objectMPEG2Audio = 0x69
	objectMPEG1Audio = 0x6B
)

// layer3Object reads an elementary stream's descriptor: two bytes of id, one of flags, and the decoder's configuration,
// which begins with the kind of object.
func layer3Object(b []byte) bool {
	b = tail(descriptor(b, esDescriptor), 2)
	if len(b) == 0 || b[0]&0xE0 != 0 { // what else may stand here nobody writes
		return false
	}
	b = descriptor(b[1:], configDescriptor)
	return len(b) > 0 && (b[0] == objectMPEG2Audio || b[0] == objectMPEG1Audio)
}

// descriptor returns what follows the head of a descriptor of this kind: a byte, and a size of one to four.
func descriptor(b []byte, kind byte) []byte {
	if len(b) < 2 || b[0] != kind {
		return nil
	}
	for n, c := range b[1:min(5, len(b))] {
		if c < 0x80 {
			return b[n+2:]
		}
	}
	return nil
}

// flvTags is how many tags are looked at for the first with sound: it comes with the first pictures.
const flvTags = 256

// flvLayer3 finds the first tag of sound: the upper half of its first byte is the codec.
func (s *source) flvLayer3(at int64) bool {
	for range flvTags {
		tag := s.bytes(at, 12)
		if tag == nil {
			return false
		}
		if tag[0]&0x1F == flvAudio {
			return tag[11]>>4 == 2 || tag[11]>>4 == 14 // 14 at 8 kHz
		}
		at += 11 + int64(be32(tag, 0)&0xFFFFFF) + 4
	}
	return false
}
