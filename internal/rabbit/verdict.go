package rabbit

import (
	"errors"

	"mp3converter/internal/job"
)

// verdict is what becomes of a delivery.
type verdict string

const (
	settle   verdict = "settled"    // acknowledged: gone from the queue
	bury     verdict = "buried"     // moved to the dead letters, then acknowledged
	postpone verdict = "postponed"  // given back after a pause
	giveBack verdict = "given back" // at once, for another process: this one is about to leave
)

// judge decides from the handler's error, and from whether the process is told to stop.
func judge(err error, stopping bool) verdict {
	switch {
	case err == nil:
		return settle
	case errors.Is(err, job.ErrPoison):
		return bury
	case stopping:
		return giveBack
	default:
		return postpone
	}
}
