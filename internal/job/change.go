package job

import "time"

// Change is a job as it was last stored, and when, by the clock of whoever stored it. It is how a ledger that tells nobody of
// its changes can be asked for them.
type Change struct {
	Job Job
	At  time.Time
}
