package porttest

import (
	"reflect"
	"testing"
	"time"

	"mp3converter/internal/job"
)

// TestLedger holds a store to the terms of Ledger. open returns an empty ledger and registers its end with t.Cleanup; it
// is called once per test.
func TestLedger(t *testing.T, open func(t *testing.T) Ledger) {
	for name, test := range map[string]func(*testing.T, Ledger){
		"every field comes back":                                   ledgerFields,
		"a taken id or key is refused, and the first job stays":    ledgerTaken,
		"of parallel inserts under one key one wins":               ledgerTakenAtOnce,
		"what is absent is not found":                              ledgerAbsent,
		"an update stores the change and counts the version":       ledgerUpdate,
		"an error of change is returned as is and stores nothing":  ledgerRefuses,
		"an update cannot take another job's key":                  ledgerKeyTaken,
		"20 parallel increments make 20":                           ledgerIncrements,
		"of parallel claims one wins":                              ledgerClaims,
		"an operator's end and a claim go together":                ledgerClaimOrStop,
		"a stale attempt cannot commit":                            ledgerStale,
		"an upload that arrives and the sweeper never both win":    ledgerArriveOrSweep,
		"an upload that lives is never swept":                      ledgerLiveOrSweep,
		"a removed job is forgotten and its key free":              ledgerRemove,
		"the list is the owner's visible jobs, newest first":       ledgerList,
		"an mp3's job is found by its owner":                       ledgerByMP3,
		"what is found passes the filter, page by page":            ledgerFind,
		"changes are what was stored of the owner since then":      ledgerChanges,
		"usage is what the owner's jobs take":                      ledgerUsage,
		"of uploads at once the last sees all":                     ledgerUsageAtOnce,
		"the backlog is what there is to do":                       ledgerBacklog,
		"jobs in a state, by age, whose ever":                      ledgerInState,
		"due is what must be rung or cleaned, the longest first":   ledgerDue,
		"jobs without dates are those that have ended":             ledgerUndated,
		"due is limited for each kind":                             ledgerDueLimit,
		"due is never a job whose times were cleared":              ledgerDueCleared,
		"untold is whose webhooks are due, the longest first":      ledgerUntold,
		"a context that is over fails every call, storing nothing": ledgerCancelled,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

const owner = "sid@gmail.com"

// noon is when most of these tests take place.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// newJob returns an upload of owner that began at noon, under a fresh id.
func newJob() job.Job { return job.New(noon, job.DefaultRules(), job.NewID(noon), owner) }

// queuedJob returns a job whose video has arrived at noon.
func queuedJob(t *testing.T) job.Job {
	t.Helper()
	j := newJob()
	if err := j.Arrived(noon, job.DefaultRules(), job.File{ID: j.ID, Name: "a.mp4", Bytes: 7}); err != nil {
		t.Fatal(err)
	}
	return j
}

// fullJob returns a job with every field set.
func fullJob(t *testing.T) job.Job {
	t.Helper()
	return filled(t, newJob())
}

// filled sets every field but ID of a record, so that a new field is tested without anybody thinking of it.
func filled[T any](t *testing.T, record T) T {
	t.Helper()
	v := reflect.ValueOf(&record).Elem()
	for i := range v.NumField() {
		f, name := v.Field(i), v.Type().Field(i).Name
		switch {
		case f.Type() == reflect.TypeFor[time.Time]():
			f.Set(reflect.ValueOf(noon.Add(time.Duration(i) * (time.Hour + time.Millisecond))))
		case f.Kind() == reflect.String && name != "ID":
			f.SetString(`"` + name + `" ünï ` + "\t" + `'\`)
		case f.Kind() == reflect.Int, f.Kind() == reflect.Int64:
			f.SetInt(int64(i) + 1)
		case f.Kind() == reflect.Bool:
			f.SetBool(true)
		case f.Type() == reflect.TypeFor[[]string]():
			f.Set(reflect.ValueOf([]string{job.NewID(noon), job.NewID(noon)}))
		case f.Type() == reflect.TypeFor[*job.Arrival]():
			f.Set(reflect.ValueOf(&job.Arrival{
				Writer: i, Offset: int64(i) << 32, Hash: []byte{0, 1}, Sums: []byte{2}, Runs: []byte{3}, Tail: []byte{255},
			}))
		}
		if f.IsZero() {
			t.Fatalf("no idea how to fill %s: teach filled", name)
		}
	}
	return record
}

func insert(t *testing.T, l Ledger, j job.Job) job.Job {
	t.Helper()
	return insertRecord(t, l, j, func(j *job.Job) *int64 { return &j.Version })
}

func wantJob(t *testing.T, l Ledger, want job.Job) {
	t.Helper()
	wantRecord(t, l, want.ID, want)
}
