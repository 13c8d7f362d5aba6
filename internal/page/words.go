package page

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"mp3converter/internal/job"
)

// choice is a profile as people choose it.
type choice struct {
	Value job.Profile
	Text  string
}

var choices = []choice{
	{job.Standard, "Standard – good sound, small file"},
	{job.High, "High – for music"},
	{job.Best, "Best – the largest file"},
	{job.Voice, "Voice – speech, the smallest file"},
	{job.CBR128, "128 kb/s constant – for old players"},
}

// profileName is the choice's name alone.
func profileName(p job.Profile) string {
	for _, c := range choices {
		if c.Value == p {
			name, _, _ := strings.Cut(c.Text, " – ")
			return name
		}
	}
	return string(p)
}

// advice tells the owner of a failed job what to do about it.
var advice = map[job.Reason]string{
	job.ReasonEmpty:       "Check the file on your device, then upload it again.",
	job.ReasonUnsupported: "Save it as MP4, MOV, MKV, WebM or AVI, then upload that.",
	job.ReasonUnreadable:  "Check that it plays on your device, then upload it again.",
	job.ReasonNoAudio:     "Check that it plays with sound on your device, then upload it again.",
	job.ReasonTruncated:   "Check that it plays to its end on your device, then upload it again.",
	job.ReasonTooLong:     "Cut it into shorter parts, then upload those.",
	job.ReasonTooLarge:    "Upload it again with a smaller profile, such as Voice, or in shorter parts.",
	job.ReasonTooSlow:     "Try again, or upload it in shorter parts.",
	job.ReasonNoVideo:     "Upload it again.",
	job.ReasonCrashed:     "Try again. If that does not help, save it in another format and upload that.",
	job.ReasonStopped:     "Try again later.",
}

// size is a number of bytes as file managers show it.
func size(bytes int64) string {
	const kilo = 1000
	if bytes < kilo {
		return strconv.FormatInt(bytes, 10) + " B"
	}
	n, units := float64(bytes)/kilo, "kMGT"
	for n >= 999.5 && len(units) > 1 {
		n, units = n/kilo, units[1:]
	}
	digits := 1
	if n >= 99.95 {
		digits = 0
	}
	return strconv.FormatFloat(n, 'f', digits, 64) + " " + units[:1] + "B"
}

// length is a duration as players show it.
func length(d time.Duration) string {
	s := int(d.Round(time.Second) / time.Second)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// Sentence makes one of a clause, as the API says what is wrong.
func Sentence(clause string) string {
	if clause == "" {
		return ""
	}
	first, n := utf8.DecodeRuneInString(clause)
	return string(unicode.ToUpper(first)) + strings.TrimRight(clause[n:], ".") + "."
}
