package mp3

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// errHeader: the encoder wrote to a pipe.
var errHeader = errors.New("mp3: no complete Xing or Info header in front")

// A writer writes tag, header and frames; the header once more when all frames are known.
type writer struct {
	dst   io.WriteSeeker
	buf   *bufio.Writer
	at    int64 // of the header
	first Frame // header
	tally *tally
}

// newWriter writes to dst from where it stands.
func newWriter(dst io.WriteSeeker, tag []byte, first Frame) (*writer, error) {
	if !isComplete(first) {
		return nil, errHeader
	}
	at, err := dst.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, fmt.Errorf("write MP3: %w", err)
	}
	w := &writer{dst: dst, buf: bufio.NewWriterSize(dst, 64<<10), at: at + int64(len(tag)), first: first, tally: newTally(first)}
	if _, err := w.buf.Write(tag); err != nil {
		return nil, fmt.Errorf("write MP3: %w", err)
	}
	if _, err := w.buf.Write(first); err != nil {
		return nil, fmt.Errorf("write MP3: %w", err)
	}
	return w, nil
}

func (w *writer) add(f Frame) error {
	w.tally.add(f)
	if _, err := w.buf.Write(f); err != nil {
		return fmt.Errorf("write MP3: %w", err)
	}
	return nil
}

// end writes the header, of a sound of so many samples if that is known. It leaves dst at the end of the frames.
func (w *writer) end(last Frame, samples int64) (Info, error) {
	if !isComplete(last) {
		return Info{}, errHeader
	}
	header := w.tally.header(w.first, last, samples)
	info, _ := parseInfo(header)
	if err := w.buf.Flush(); err != nil {
		return info, fmt.Errorf("write MP3: %w", err)
	}
	end, err := w.dst.Seek(0, io.SeekCurrent)
	if err != nil {
		return info, fmt.Errorf("write MP3: %w", err)
	}
	if _, err := w.dst.Seek(w.at, io.SeekStart); err != nil {
		return info, fmt.Errorf("write MP3: %w", err)
	}
	if _, err := w.dst.Write(header); err != nil {
		return info, fmt.Errorf("write MP3: %w", err)
	}
	if _, err := w.dst.Seek(end, io.SeekStart); err != nil {
		return info, fmt.Errorf("write MP3: %w", err)
	}
	return info, nil
}
