package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"mp3converter/internal/job"
)

// Files are made of noise, since nothing on the way could make it smaller, as it could not make a video smaller. It is
// made once and repeated, which costs nothing; no two chunks of a store are the same for that.
const (
	noisePeriod = 1<<20 + 4093
	noiseMost   = 1 << 20
)

var noiseBlock = sync.OnceValue(func() []byte {
	block := make([]byte, noisePeriod+noiseMost)
	_, _ = rand.NewChaCha8([32]byte{}).Read(block) // never fails
	copy(block[noisePeriod:], block)
	return block
})

// noise returns a file's bytes from one offset to another, at most noiseMost. Nobody may change them.
func noise(from, to int64) []byte {
	at := from % noisePeriod
	return noiseBlock()[at : at+to-from]
}

// noiseReader yields a file of a size.
type noiseReader struct{ at, size int64 }

func (r *noiseReader) Read(p []byte) (int, error) {
	if r.at >= r.size {
		return 0, io.EOF
	}
	n := copy(p, noise(r.at, min(r.at+noiseMost, r.size)))
	r.at += int64(n)
	return n, nil
}

// wantBytes is an error if something has another size than it should have.
func wantBytes(got, want int64) error {
	if got != want {
		return fmt.Errorf("%d bytes instead of %d", got, want)
	}
	return nil
}

// files and jobs are what a store is seeded through, whichever it is.
type (
	files interface {
		Put(ctx context.Context, f job.File, r io.Reader) (job.File, error)
	}
	jobs interface {
		Insert(ctx context.Context, j job.Job) error
	}
)

// seed stores an MP3 that belongs to somebody, as a conversion would have left it, and returns its id.
func seed(ctx context.Context, to files, ledger jobs, owner string, size int64) (string, error) {
	now := time.Now()
	video, mp3 := job.NewID(now), job.NewID(now)
	if _, err := to.Put(ctx, job.File{ID: mp3, Job: video, Owner: owner, Name: "bench.mp3", Type: "audio/mpeg"}, &noiseReader{size: size}); err != nil {
		return "", err
	}
	m := job.Message{Video: video, MP3: mp3, Username: owner}
	j := job.Adopt(now, job.DefaultRules(), m, job.File{ID: video, Owner: owner, Name: "bench.mp4", Bytes: size})
	return mp3, ledger.Insert(ctx, j)
}
