package job

import "time"

// Backlog is what there is to do, for whoever watches: a ledger's answer.
type Backlog struct {
	Jobs   map[State]int // those that wait, by state: each of Waiting
	Oldest time.Time     // Since of the job that has been waited for longest; zero if there is none
}

// Waiting are the states in which somebody has something to do yet.
var Waiting = []State{Queued, Converting, Converted}
