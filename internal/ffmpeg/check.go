package ffmpeg

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"mp3converter/internal/job"
)

// Check converts a moment of silence and returns ffmpeg's version, so that a service finds out when it starts whether
// the binary is there, has the MP3 encoder and may write to the scratch folder. It also finds out whether Cores are worth lending.
func (r Runner) Check(ctx context.Context) (version string, err error) {
	r = r.withDefaults()
	banner, took, err := r.banner(ctx)
	if err != nil {
		return "", err
	}
	in, err := r.Temp()
	if err != nil {
		return "", err
	}
	defer in.Close()
	out, err := r.Temp()
	if err != nil {
		return "", err
	}
	defer out.Close()
	if _, err := in.Write(silence()); err != nil {
		return "", fmt.Errorf("write scratch file: %w: %w", job.ErrTransient, err)
	}
	if _, err := r.Convert(ctx, in, out, Options{Profile: job.Standard}); err != nil {
		return "", fmt.Errorf("convert a test sound: %w", err)
	}
	r.Cores.learn(took, r.splits(ctx, in, out))
	return parseVersion(banner), nil
}

// splits tries whether several processes can do it: whether this ffmpeg can hand on sound (one that was built for an older version
// cannot), and parts of scratch files can be freed, or long sounds would fill the folder.
func (r Runner) splits(ctx context.Context, in, out *os.File) bool {
	if r.Cores == nil || punch(out, 0, 1) != nil {
		return false
	}
	video, err := r.examine(in)
	if err != nil {
		return false
	}
	trial := NewCores(2) //nolint:mnd // as few as can be shared
	trial.learn(0, true)
	c := conversion{r, in, out, video, Options{}, trial.enter()}
	if !c.seat.share(most) {
		return false
	}
	_, err = c.split(ctx)
	return err == nil
}

// banner returns ffmpeg's first words, and how long it takes to start; the best of a few tries, for others may be busy.
func (r Runner) banner(ctx context.Context) (words []byte, took time.Duration, err error) {
	const tries = 3
	took = time.Hour
	for range tries {
		var banner bytes.Buffer
		cmd, err := r.command(ctx, []string{"-version"}, 0, 0, nil, nil)
		if err != nil {
			return nil, 0, fmt.Errorf("run %s: %w", r.Path, err)
		}
		cmd.Stdout = &banner
		began := time.Now()
		if err := <-start(cmd, &group{}); err != nil {
			return nil, 0, fmt.Errorf("run %s: %w", r.Path, err)
		}
		words, took = banner.Bytes(), min(took, time.Since(began))
	}
	return words, took, nil
}

// parseVersion finds 5.1.9 in "ffmpeg version 5.1.9 Copyright (c) …".
func parseVersion(banner []byte) string {
	words := strings.Fields(string(banner))
	if i := slices.Index(words, "version"); i >= 0 && i+1 < len(words) {
		return words[i+1]
	}
	return ""
}

// silence is a WAV file of a second of nothing.
func silence() []byte {
	const rate, bytesPerSample = 8000, 2
	var b bytes.Buffer
	for _, part := range []any{
		[]byte("RIFF"), uint32(36 + rate*bytesPerSample), []byte("WAVEfmt "), uint32(16),
		uint16(1), uint16(1), uint32(rate), uint32(rate * bytesPerSample), uint16(bytesPerSample), uint16(8 * bytesPerSample),
		[]byte("data"), uint32(rate * bytesPerSample), make([]byte, rate*bytesPerSample),
	} {
		_ = binary.Write(&b, binary.LittleEndian, part) // a buffer takes everything
	}
	return b.Bytes()
}
