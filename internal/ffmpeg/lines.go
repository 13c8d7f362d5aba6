package ffmpeg

import "bytes"

// maxLine is how much of a line is looked at. What ffmpeg prints is in part the video's words, and so without end.
const maxLine = 512

// lines is an io.Writer that hands what is written on, line by line, cut to maxLine.
type lines struct {
	each func(line string)
	held []byte // the beginning of a line that has not ended
}

func (l *lines) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			l.hold(b)
			break
		}
		l.hold(b[:end])
		l.each(string(bytes.TrimRight(l.held, "\r")))
		l.held, b = l.held[:0], b[end+1:]
	}
	return n, nil
}

func (l *lines) hold(b []byte) {
	l.held = append(l.held, b[:min(len(b), maxLine-len(l.held))]...)
}
