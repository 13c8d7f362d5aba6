package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"

	"mp3converter/internal/job"
	"mp3converter/internal/web"
)

// maxRanges bounds the parts of one answer; a player asks for one at a time.
const maxRanges = 16

// download sends an MP3 of the user's.
func (s *Service) download(w http.ResponseWriter, r *http.Request, user string) error {
	fid, err := fidOf(r)
	if err != nil {
		return err
	}
	if err := s.downloads.take(user); err != nil {
		return err
	}
	defer s.downloads.leave(user)
	j, err := s.find(r.Context(), user, fid)
	if err != nil {
		return err
	}
	kind, name := "inline", fid+".mp3"
	if r.URL.Query().Has("save") { // for browsers, which ask the header before they ask the link that was clicked
		kind, name = "attachment", job.MP3Name(j.Name)
	}
	return s.sendMP3(w, r, j.MP3, mime.FormatMediaType(kind, map[string]string{"filename": name}))
}

// sendMP3 sends an MP3 for which the caller has a place.
func (s *Service) sendMP3(w http.ResponseWriter, r *http.Request, mp3, disposition string) error {
	file, content, err := s.cfg.MP3s.Open(r.Context(), mp3)
	if errors.Is(err, fs.ErrNotExist) { // the ledger says otherwise
		web.Note(r.Context(), slog.LevelKey, slog.LevelError)
		return fmt.Errorf("%w: mp3 %s, in spite of its job", errNoFile, mp3)
	}
	if err != nil {
		return fmt.Errorf("open mp3 %s: %w", mp3, err)
	}
	src := &source{content: content}
	defer src.Close()
	h := w.Header()
	h.Set("Content-Type", "audio/mpeg")
	h.Set("Content-Disposition", disposition)
	h.Set("ETag", etag(file))
	return s.send(w, r, file, src)
}

// fidOf returns the request's one fid.
func fidOf(r *http.Request) (string, error) {
	fids := r.URL.Query()["fid"]
	switch {
	case len(fids) == 0, len(fids) == 1 && fids[0] == "":
		return "", errNoFid
	case len(fids) > 1, !job.IsID(fids[0]):
		return "", errBadFid
	}
	return fids[0], nil
}

// find returns the job of the user's MP3 that fid stands for: its own id, or its video's. What is somebody else's is not
// found, as what is nobody's.
func (s *Service) find(ctx context.Context, user, fid string) (job.Job, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	j, err := s.cfg.Ledger.ByMP3(ctx, user, fid)
	switch {
	case err == nil:
		return kept(j)
	case !errors.Is(err, fs.ErrNotExist):
		return job.Job{}, fmt.Errorf("find the job of mp3 %s: %w", fid, err)
	}
	j, err = s.own(ctx, user, fid)
	if errors.Is(err, errNoJob) || err == nil && j.MP3 == "" {
		return job.Job{}, errNoFile
	}
	if err != nil {
		return job.Job{}, err
	}
	return kept(j)
}

// kept is the job, unless its MP3 was kept long enough.
func kept(j job.Job) (job.Job, error) {
	if j.MP3Over(time.Now()) {
		return job.Job{}, tooLate(j.MP3Until)
	}
	return j, nil
}

// etag is strong: no file ever changes.
func etag(f job.File) string {
	if f.SHA256 != "" {
		return `"` + f.SHA256 + `"`
	}
	return `"` + f.ID + `"`
}

// send answers with the file or the ranges asked for. An error is one that http.ServeContent keeps to itself. Returned, it
// breaks the connection after the first byte, so that nobody takes the part for the whole; before that it is answered.
func (s *Service) send(w http.ResponseWriter, r *http.Request, file job.File, src *source) error {
	if !strings.HasPrefix(r.Header.Get("Range"), "bytes=") {
		r.Header.Del("Range") // RFC 9110, 14.2: an unknown unit is to be ignored, which http.ServeContent refuses
	}
	out := &sink{ResponseWriter: w, control: http.NewResponseController(w), patience: 2 * s.cfg.Stall, size: file.Bytes}
	if strings.Count(r.Header.Get("Range"), ",") >= maxRanges {
		out.noSuchRange()
		w.Header().Del("ETag")
		return errRanges
	}
	http.ServeContent(out, r, "", file.Stored, src)
	if err := errors.Join(src.failure(), out.err); err != nil {
		out.forget()
		return fmt.Errorf("send mp3 %s: %w", file.ID, err)
	}
	out.begin() // an answer without a body
	return nil
}

// source remembers why its file could not be read. It has a lock because http.ServeContent reads several ranges in a
// goroutine for whose end it does not wait.
type source struct {
	mu      sync.Mutex
	content io.ReadSeekCloser
	closed  bool
	err     error
}

func (s *source) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, fs.ErrClosed
	}
	n, err := s.content.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // io.Reader's own word
		s.err = err
	}
	return n, err
}

func (s *source) Seek(offset int64, whence int) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, fs.ErrClosed
	}
	at, err := s.content.Seek(offset, whence)
	if err != nil {
		s.err = err
	}
	return at, err
}

func (s *source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return s.content.Close()
}

func (s *source) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// sink holds the head of an answer back until there is a byte of its body, for until then the store may turn out to be away.
// It gives up on a client that does not take a small piece within patience, or a large one in as many times that as there
// are small ones in it, and remembers why writing failed.
type sink struct {
	http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration
	size     int64 // of the file
	status   int   // held back; 0 once it is sent
	err      error
}

func (s *sink) WriteHeader(status int) {
	s.status = status
	s.Header().Set("Cache-Control", "no-store") // http.ServeContent takes it from refusals
	if status == http.StatusRequestedRangeNotSatisfiable {
		s.noSuchRange()
	}
}

// noSuchRange says how long the file is, as RFC 9110, 15.5.17, asks for and http.ServeContent does for some refusals only.
// The text that follows is no file.
func (s *sink) noSuchRange() {
	s.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", s.size))
	s.Header().Del("Content-Disposition")
}

// begin sends what is held back.
func (s *sink) begin() {
	if s.status != 0 {
		s.ResponseWriter.WriteHeader(s.status)
		s.status = 0
	}
}

// forget takes back what is held back, for another answer.
func (s *sink) forget() {
	if s.status == 0 {
		return
	}
	for _, name := range []string{"Accept-Ranges", "Content-Disposition", "Content-Length", "Content-Range", "ETag", "Last-Modified"} {
		s.Header().Del(name)
	}
}

// Pieces, in bytes, that a file is sent in. A large one, a chunk of the store, saves system calls and deadlines; a small one
// is what a slow client can take within the patience. That one is slow shows when the kernel's buffers are full, which may
// be in the midst of a large one.
const (
	largePiece = 256 << 10
	smallPiece = 32 << 10
	fluent     = time.Second // for any piece: whoever takes it faster gets a large one next
)

var pieces = sync.Pool{New: func() any { return new([largePiece]byte) }}

// ReadFrom is what http.ServeContent sends a file by.
func (s *sink) ReadFrom(r io.Reader) (n int64, err error) {
	buffer := pieces.Get().(*[largePiece]byte)
	defer pieces.Put(buffer)
	for size := smallPiece; err == nil; {
		var read, written int
		read, err = r.Read(buffer[:size])
		start := time.Now()
		if read > 0 {
			var failed error
			written, failed = s.Write(buffer[:read])
			err = cmp.Or(failed, err)
		}
		n += int64(written)
		if size = smallPiece; time.Since(start) < fluent {
			size = largePiece
		}
	}
	if err == io.EOF { //nolint:errorlint // io.Reader's own word
		err = nil
	}
	return n, err
}

func (s *sink) Write(p []byte) (int, error) {
	s.begin()
	small := (len(p) + smallPiece - 1) / smallPiece
	_ = s.control.SetWriteDeadline(time.Now().Add(s.patience * time.Duration(max(1, small)))) // in tests without a connection there is none to set
	n, err := s.ResponseWriter.Write(p)
	if err != nil {
		s.err = err
	}
	return n, err
}
