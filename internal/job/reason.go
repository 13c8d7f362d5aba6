package job

import (
	"errors"
	"fmt"
)

// Reason is why a job failed for good: a word for programs. Detail, beside it, is for people.
type Reason string

// The reasons. A new one needs a Text.
const (
	ReasonEmpty       Reason = "empty"       // no bytes
	ReasonUnsupported Reason = "unsupported" // no container or codec that we take
	ReasonUnreadable  Reason = "unreadable"  // the container is damaged beyond use
	ReasonNoAudio     Reason = "no_audio"    // no audio track, or one without sound data
	ReasonTruncated   Reason = "truncated"   // less sound could be decoded than the track declares
	ReasonTooLong     Reason = "too_long"    // more sound than this installation converts
	ReasonTooLarge    Reason = "too_large"   // the MP3 would be larger than this installation stores
	ReasonTooSlow     Reason = "too_slow"    // the conversion ran into its wall limit
	ReasonNoVideo     Reason = "no_video"    // the stored video is gone
	ReasonCrashed     Reason = "crashed"     // every attempt crashed
	ReasonStopped     Reason = "stopped"     // an operator ended the job
)

var texts = map[Reason]string{
	ReasonEmpty:       "the file is empty",
	ReasonUnsupported: "the file is in no format that can be converted",
	ReasonUnreadable:  "the file is damaged and cannot be read",
	ReasonNoAudio:     "the file has no sound",
	ReasonTruncated:   "the file is damaged: only a part of its sound can be read",
	ReasonTooLong:     "the file's sound is too long",
	ReasonTooLarge:    "the MP3 would be too large",
	ReasonTooSlow:     "the conversion took too long",
	ReasonNoVideo:     "the uploaded file is gone",
	ReasonCrashed:     "the conversion crashed on every attempt",
	ReasonStopped:     "the operator of the service stopped the conversion",
}

// Text says the reason to the owner, in a clause without a full stop.
func (r Reason) Text() string {
	if t, ok := texts[r]; ok {
		return t
	}
	return string(r)
}

// ErrPermanent is in the chain of every error that trying again cannot mend.
var ErrPermanent = errors.New("permanent")

// ErrTransient is in the chain of an error that is not the video's fault: store, broker, scratch folder. An attempt that
// ends with it does not count.
var ErrTransient = errors.New("transient")

// Failure is an error with a Reason that the owner is told; ErrPermanent is in its chain.
type Failure struct {
	Reason Reason
	Detail string // for the owner too; empty means Reason.Text says it all
}

// Failing returns a *Failure with a detail made as by fmt.Sprintf.
func Failing(reason Reason, format string, args ...any) error {
	return &Failure{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

func (f *Failure) Error() string {
	if f.Detail == "" {
		return f.Reason.Text()
	}
	return f.Reason.Text() + ": " + f.Detail
}

func (f *Failure) Unwrap() error { return ErrPermanent }
