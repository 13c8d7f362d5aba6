package mp3

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// SetGap writes another delay and padding, of up to 4095 samples, into the header that lies at an offset, behind the tags.
func SetGap(f interface {
	io.ReaderAt
	io.WriterAt
}, at int64, delay, padding int) error {
	b := make([]byte, maxFrame)
	n, err := f.ReadAt(b, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read MP3: %w", err)
	}
	size := sizeOf(b[:n])
	if size == 0 || size > n || !isComplete(b[:size]) {
		return errHeader
	}
	header := Frame(b[:size])
	x := header[header.xingAt():]
	copy(x[atDelay:], []byte{byte(delay >> 4), byte(delay<<4 | padding>>8), byte(padding)}) //nolint:gosec // 12 bits each
	binary.BigEndian.PutUint16(x[atTagCRC:], 0)
	binary.BigEndian.PutUint16(x[atTagCRC:], tagCRC(header))
	if _, err := f.WriteAt(header, at); err != nil {
		return fmt.Errorf("write MP3: %w", err)
	}
	return nil
}
