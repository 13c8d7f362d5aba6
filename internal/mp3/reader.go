package mp3

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// A Reader reads a stream frame by frame, in bounded memory whatever the stream holds. Tags before, after and between the
// frames are skipped (ID3v2, ID3v1, APE), and so is the header frame (Xing, Info, VBRI). Bytes that are neither are skipped
// and counted; after them, as at the beginning, a frame counts only if another of the same stream or the end follows.
type Reader struct {
	r      *bufio.Reader
	synced bool   // at a place where a frame is expected
	stream uint32 // shared of the last frame
	frame  Frame  // what Next returned
	count  int64  // of frames, the header's too
	lost   int64

	header Frame  // Xing, Info or VBRI; nil if there is none
	keep   bool   // the tags in front
	tag    []byte // these
}

// NewReader returns a Reader.
func NewReader(r io.Reader) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, 16<<10), synced: true}
}

// Lost is how many bytes were neither frame nor tag so far.
func (r *Reader) Lost() int64 { return r.lost }

// Info is what the header frame says. There may be one once Next has returned.
func (r *Reader) Info() (Info, bool) { return parseInfo(r.header) }

// Next returns the next frame, which is valid until the next call, or io.EOF.
func (r *Reader) Next() (Frame, error) {
	for {
		head, err := r.peek(headerSize)
		if err != nil {
			return nil, err
		}
		size := sizeOf(head)
		switch {
		case len(head) == 0:
			return nil, io.EOF
		case size > 0:
			if r.isFrame(head, size) {
				frame, err := r.take(size)
				if err != nil || frame != nil {
					return frame, err
				}
				continue
			}
		case r.synced:
			if skipped, err := r.skipTag(); err != nil || skipped {
				if err != nil {
					return nil, err
				}
				continue
			}
		}
		if err := r.lose(); err != nil {
			return nil, err
		}
	}
}

// peek returns up to n bytes: fewer at the end of the stream only.
func (r *Reader) peek(n int) ([]byte, error) {
	b, err := r.r.Peek(n)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b, err
}

// isFrame tells whether a whole frame follows. A header alone is found in any noise.
func (r *Reader) isFrame(head []byte, size int) bool {
	stream := shared(head)
	b, err := r.peek(size + 8)
	if err != nil || len(b) < size {
		return false // a read error shows up again at once
	}
	if r.synced && r.count > 0 && stream == r.stream {
		return true
	}
	next := b[size:]
	return len(next) == 0 || sizeOf(next) > 0 && shared(next) == stream || startsTag(next)
}

// take reads the frame; nil if it is the header.
func (r *Reader) take(size int) (Frame, error) {
	if cap(r.frame) < size {
		r.frame = make(Frame, maxFrame)
	}
	r.frame = r.frame[:size]
	if _, err := io.ReadFull(r.r, r.frame); err != nil {
		return nil, err
	}
	r.synced, r.stream = true, shared(r.frame)
	r.count++
	if r.count == 1 && isHeader(r.frame) {
		r.header = bytes.Clone(r.frame)
		return nil, nil //nolint:nilnil // there is neither
	}
	return r.frame, nil
}

// lose skips a byte that belongs to nothing.
func (r *Reader) lose() error {
	r.synced = false
	r.lost++
	_, err := r.r.Discard(1)
	return err
}

var tagNames = [][]byte{[]byte("ID3"), []byte("TAG"), []byte("APETAGEX")}

func startsTag(b []byte) bool {
	for _, name := range tagNames {
		if bytes.HasPrefix(b, name) {
			return true
		}
	}
	return false
}

// maxTag is how long a tag in front may be that is kept: ours hold a title.
const maxTag = 1 << 20

var errTag = errors.New("mp3: the tag in front is too long")

// skipTag skips a tag, if one follows. One that claims to be longer than the stream is all that is left of it.
func (r *Reader) skipTag() (bool, error) {
	b, err := r.peek(32)
	if err != nil {
		return false, err
	}
	size := TagSize(b)
	if size == 0 {
		return false, nil
	}
	if r.keep && r.count == 0 {
		if size > maxTag-len(r.tag) {
			return false, errTag
		}
		tag := make([]byte, size)
		n, err := io.ReadFull(r.r, tag)
		r.tag = append(r.tag, tag[:n]...)
		return true, eofIsFine(err)
	}
	_, err = r.r.Discard(size)
	return true, eofIsFine(err)
}

func eofIsFine(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil // the next peek finds the end
	}
	return err
}

// TagSize is the size in bytes of the tag (ID3, APE) that b begins with; 0 if it does not. 32 bytes tell.
func TagSize(b []byte) int {
	switch {
	case len(b) >= 10 && string(b[:3]) == "ID3":
		size := 10 + int(b[6]&0x7F)<<21 + int(b[7]&0x7F)<<14 + int(b[8]&0x7F)<<7 + int(b[9]&0x7F)
		if b[5]&0x10 != 0 {
			size += 10 // footer
		}
		return size
	case len(b) >= 32 && string(b[:8]) == "APETAGEX" && b[23]&0x20 != 0: // a header; what a footer ends is behind us
		return 32 + int(b[12]) + int(b[13])<<8 + int(b[14])<<16 // 16 MiB are enough
	case len(b) >= 3 && string(b[:3]) == "TAG":
		return 128
	}
	return 0
}
