package porttest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"mp3converter/internal/job"
)

// Two writers of one upload, the second of which was given it while the first still lives, are let go on in every order. At
// each offset the bytes must be those of the writer who had the ledger note them, and nobody else's.

// turns lets a writer go on from one point to the next: before it reads a part, before and after it saves.
type turns struct {
	at    chan string   // the point at which it stands
	on    chan struct{} // lets it go on
	free  chan struct{} // closed: go on always
	ended chan error
	over  bool
	err   error
}

func (w *turns) stop(point string) {
	select {
	case w.at <- point:
	case <-w.free:
		return
	}
	select {
	case <-w.on:
	case <-w.free:
	}
}

// step has it go on to the next point.
func (w *turns) step() {
	if w.over {
		return
	}
	select {
	case w.on <- struct{}{}:
	case w.err = <-w.ended:
		w.over = true
		return
	}
	w.arrive()
}

// arrive waits until it stands at a point, or is at its end.
func (w *turns) arrive() {
	select {
	case <-w.at:
	case w.err = <-w.ended:
		w.over = true
	}
}

// finish has it go on to its end.
func (w *turns) finish() error {
	close(w.free)
	if !w.over {
		w.err, w.over = <-w.ended, true
	}
	return w.err
}

// parts yields a writer's bytes from an offset on, so many at a time.
type parts struct {
	of   []byte
	size int
	turn *turns
}

func (p *parts) Read(b []byte) (int, error) {
	if len(p.of)%p.size == 0 {
		p.turn.stop("read")
	}
	if len(p.of) == 0 {
		return 0, io.EOF
	}
	n := len(p.of) % p.size
	if n == 0 {
		n = p.size
	}
	n = copy(b, p.of[:n])
	p.of = p.of[n:]
	return n, nil
}

// write begins a writer that has those bytes for the whole of the file.
func (u *uploading) write(content []byte, truth *[]byte) *turns {
	w := &turns{at: make(chan string), on: make(chan struct{}), free: make(chan struct{}), ended: make(chan error, 1)}
	from := u.claim()
	save := func(ctx context.Context, a job.Arrival) error {
		w.stop("save")
		_, err := u.change(func(j *job.Job) error {
			err := j.Advance(noon, job.DefaultRules(), a)
			if err == nil {
				*truth = append(*truth, content[len(*truth):a.Offset]...)
			}
			return err
		})
		w.stop("saved")
		return err
	}
	go func() {
		w.ended <- u.s.Append(u.t.Context(), u.file, from, &parts{content[from.Offset:], chunk, w}, save)
	}()
	w.arrive()
	return w
}

func arrivalsTwoWriters(t *testing.T, s Arrivals) {
	const size = 4*chunk + 7
	contents := [][]byte{Bytes(31, size), Bytes(32, size), Bytes(33, size)}
	for _, steps := range [][2]int{
		{0, 4}, {1, 0}, {1, 4}, {1, 6}, {4, 0}, {4, 4}, {4, 6}, {5, 0}, {5, 4}, {5, 6}, {6, 5}, {7, 0},
	} {
		first, second := steps[0], steps[1]
		t.Run(fmt.Sprintf("after %d steps and %d", first, second), func(t *testing.T) {
			u := begin(t, s, size)
			u.add(contents[0][:7])
			truth := append([]byte(nil), contents[0][:7]...)
			stale := u.write(contents[0], &truth)
			for range first {
				stale.step()
			}
			if u.job.Whole() {
				if err := stale.finish(); err != nil {
					t.Errorf("the first writer: %v", err)
				}
				u.wantFile(truth)
				return
			}
			heir := u.write(contents[1], &truth)
			for range second {
				heir.step()
			}
			switch err := stale.finish(); {
			case errors.Is(err, job.ErrLost):
			case err != nil:
				t.Errorf("the first writer: %v, want job.ErrLost", err)
			default:
				t.Error("the first writer was not told that it has lost the upload")
			}
			if err := heir.finish(); err != nil {
				t.Errorf("the second writer: %v", err)
			}
			u.wantFile(truth)
		})
	}
}
