package container

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
)

// Limits of what is read of one file, whatever it says.
const (
	maxSteps = 1 << 20   // elements looked at: 12 hours in fragments of half a second have 350,000
	maxTable = 256 << 20 // bytes of one table: 12 hours of sound need 16 MB
	maxField = 64 << 10  // bytes read at once
)

// source is a file of unknown intentions. The first failing read is kept in err; what was read by then may not be used.
type source struct {
	r     io.ReaderAt
	size  int64
	steps int
	front bool // what lies behind a head that says enough is not read,
	more  bool // and there is some
	err   error
}

// bytes returns n bytes at off, or nil if they are not all in the file.
func (s *source) bytes(off int64, n int) []byte {
	if off < 0 || n < 0 || n > maxField || off > s.size-int64(n) || s.err != nil {
		return nil
	}
	b := make([]byte, n)
	got, err := s.r.ReadAt(b, off)
	switch {
	case got == n:
		return b
	case errors.Is(err, io.EOF):
		s.err = io.ErrUnexpectedEOF // the file is shorter than its size: somebody is writing it
	default:
		s.err = err
	}
	return nil
}

// upTo returns at most n bytes at off: fewer at the file's end.
func (s *source) upTo(off int64, n int) []byte {
	if off < 0 || off >= s.size {
		return nil
	}
	return s.bytes(off, int(min(int64(n), s.size-off)))
}

// step reports whether one more element may be looked at.
func (s *source) step() bool {
	s.steps++
	return s.steps <= maxSteps && s.err == nil
}

// table reads numbers one after another from a part of the file.
type table struct {
	s *source
	r *bufio.Reader
}

// table returns a reader of the part from off to end, which ends early beyond maxTable or the file's end.
func (s *source) table(off, end int64) *table {
	n := max(0, min(end, s.size)-off)
	return &table{s, bufio.NewReaderSize(io.NewSectionReader(s.r, off, min(n, maxTable)), maxField)}
}

// next fills b; false at the end.
func (t *table) next(b []byte) bool {
	_, err := io.ReadFull(t.r, b)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.s.err = err
	}
	return err == nil
}

func (t *table) u32() (uint32, bool) {
	var b [4]byte
	ok := t.next(b[:])
	return binary.BigEndian.Uint32(b[:]), ok
}

func (t *table) u64() (uint64, bool) {
	var b [8]byte
	ok := t.next(b[:])
	return binary.BigEndian.Uint64(b[:]), ok
}

// The numbers of a field; 0 where it is too short.
func be32(b []byte, at int) uint32 {
	if len(b) < at+4 {
		return 0
	}
	return binary.BigEndian.Uint32(b[at:])
}

func be64(b []byte, at int) uint64 {
	if len(b) < at+8 {
		return 0
	}
	return binary.BigEndian.Uint64(b[at:])
}

func le32(b []byte, at int) uint32 {
	if len(b) < at+4 {
		return 0
	}
	return binary.LittleEndian.Uint32(b[at:])
}

func le64(b []byte, at int) uint64 {
	if len(b) < at+8 {
		return 0
	}
	return binary.LittleEndian.Uint64(b[at:])
}
