package job

import (
	"errors"
	"path"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// File describes a stored video or MP3. Its bytes are never in it.
type File struct {
	ID     string // 24 hex digits
	Job    string // the job it belongs to; empty if somebody else stored it
	Owner  string // e-mail address; empty if somebody else stored it
	Name   string // as the client called it
	Type   string // media type
	Bytes  int64
	SHA256 string // hex; empty if somebody else stored it
	Stored time.Time
}

// Span is a part of a file: the bytes from one offset up to another, which is not in it.
type Span struct{ From, To int64 }

// ErrUnsettled is in the chain of what a store says of a Put of which pieces may come yet, after all that is there now is
// removed: it asked for them to be written, and was never told what became of it.
var ErrUnsettled = errors.New("may still happen")

// maxName bounds a file name in bytes; file systems agree on it.
const maxName = 255

// CleanName makes a label of the file name a client sent: its last path element, of either kind of slash, without
// control and formatting characters (line ends, NUL, right-to-left overrides), valid UTF-8, at most 255 bytes.
// Without anything left it is "video".
func CleanName(name string) string {
	name = path.Base(strings.ReplaceAll(strings.ToValidUTF8(name, ""), `\`, "/"))
	name = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) {
			return -1
		}
		return r
	}, name))
	for len(name) > maxName {
		_, n := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-n]
	}
	if name == "" || name == "." || name == ".." || name == "/" {
		return "video"
	}
	return name
}

// extension is what a file name has behind its last dot, if that is one of a kind and not a part of the name: "Vol. 2 live".
var extension = regexp.MustCompile(`\.[A-Za-z0-9]{1,5}$`)

// MP3Name is what people call the MP3 that is made of a video with that name: the same, but for the extension.
func MP3Name(video string) string {
	name := extension.ReplaceAllString(CleanName(video), "")
	if name == "" {
		name = "video"
	}
	return name + ".mp3"
}
