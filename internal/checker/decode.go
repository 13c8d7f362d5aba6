package checker

import (
	"bytes"
	"fmt"
	"os/exec"
	"time"
)

// Decoded is what an MP3 sounds like.
type Decoded struct {
	Duration time.Duration
	Wrong    string // what the decoder complains of
}

// decode has ffmpeg decode the whole MP3, to mono at a rate at which a byte count is a duration.
func decode(mp3 []byte) Decoded {
	const rate, sample = 44100, 2
	cmd := exec.Command("ffmpeg", "-v", "error", "-xerror", "-f", "mp3", "-i", "-", "-ac", "1", "-ar", fmt.Sprint(rate), "-f", "s16le", "-")
	var sound, complaints bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(mp3), &sound, &complaints
	err := cmd.Run()
	d := Decoded{Duration: time.Duration(sound.Len()) * time.Second / (rate * sample)}
	if err != nil || complaints.Len() > 0 {
		d.Wrong = fmt.Sprintf("%v: %.300s", err, complaints.Bytes())
	}
	return d
}
