package ffmpeg

import (
	"errors"
	"fmt"
	"io"
	"syscall"

	"mp3converter/internal/job"
	"mp3converter/internal/mp3"
)

// packs says whether the MP3s of the profile are encoded without the bit reservoir and repacked into it afterwards. Their bytes
// are then the same whether one process has encoded them or several. CBR is none: its reservoir is the encoder's to use.
func packs(p job.Profile) bool { return p != job.CBR128 }

// limit is how large an encoder may make an MP3 that must be smaller than MaxBytes in the end. Each frame has the smallest bitrate
// that holds it, and the next smaller is at least half of that (16 and 8 kb/s, below 32 kHz): repacking takes off less than half.
func (r Runner) limit(p job.Profile) int64 {
	if packs(p) {
		return 2 * r.MaxBytes
	}
	return r.MaxBytes
}

// repack makes the MP3 smaller where it lies: what is written is never ahead of what has been read.
func (c conversion) repack(r Result) (Result, error) {
	dst := io.NewOffsetWriter(c.out, 0)
	if err := mp3.Repack(dst, io.NewSectionReader(c.out, 0, r.Bytes)); err != nil {
		return Result{}, disk(fmt.Errorf("ffmpeg: repack: %w", err))
	}
	end, err := dst.Seek(0, io.SeekCurrent)
	if err != nil {
		return Result{}, err
	}
	if err := c.out.Truncate(end); err != nil {
		return Result{}, fmt.Errorf("ffmpeg: repack: %w", err)
	}
	if end >= c.MaxBytes {
		return Result{}, c.tooLarge()
	}
	r.Bytes = end
	return r, nil
}

// disk marks an error for which a full disk is to blame.
func disk(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", job.ErrTransient, err)
	}
	return err
}
