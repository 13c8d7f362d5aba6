package job

import (
	"errors"
	"time"
	"unicode"
	"unicode/utf8"
)

// DeadLetter is a message that was given up on: by whoever consumes, or by the broker itself. Nothing in it is to be trusted:
// whoever may publish has written it.
type DeadLetter struct {
	ID     string    // letters that are alike in everything that a replay sends have one
	Queue  string    // that it came from, and that a replay sends it to
	Reason string    // what it died of, "" if nobody noted that
	Buried time.Time // zero if nobody noted that
	Bytes  int64     // of the body as it was
	Cut    bool      // the body as it was is longer than what was buried of it: a replay refuses it
	Start  []byte    // of the body
}

// ErrCut is why a letter is not replayed whose body was too long to be kept.
var ErrCut = errors.New("only a part of it was kept")

// Queue is how a queue stands.
type Queue struct {
	Name      string
	Waiting   int // messages that nobody has in hand
	Consumers int
	Dead      int // letters
}

const maxBecause = 500 // bytes; it goes into a mail and into the ledger

// IsBecause reports whether an operator may give the text as the reason for which they end a job: one short line, or none.
func IsBecause(text string) bool {
	for _, r := range text {
		if unicode.IsControl(r) {
			return false
		}
	}
	return len(text) <= maxBecause && utf8.ValidString(text)
}
