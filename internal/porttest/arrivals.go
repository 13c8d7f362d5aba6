package porttest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"mp3converter/internal/job"
)

// Arrivals stores files that arrive in parts. What is told of one is a job.Arrival, which the ledger keeps: a store has no
// other memory of it.
type Arrivals interface {
	Files
	// Append adds what r yields to f.ID, behind the bytes that a says are there, until io.EOF or f.Bytes, the size of the
	// whole. It calls save, never two at a time, with how far the file is whenever that is durable: about once a second of sending, and
	// before it returns, also if r fails or ctx is over. The error has r's in its chain, or save's, after which nothing more
	// is stored. a.Writer is higher than that of every writer before: these can neither add to what this one stores nor change
	// it, whatever they still do, and are told job.ErrLost if they meet it. Append uses bounded memory.
	Append(ctx context.Context, f job.File, a job.Arrival, r io.Reader, save func(context.Context, job.Arrival) error) error
	// Complete makes f.ID readable, with SHA256 and Stored filled in, once save was told that all f.Bytes have arrived. It may
	// be called again, and by several. Delete removes what has arrived, too.
	Complete(ctx context.Context, f job.File, a job.Arrival) (job.File, error)
}

// TestArrivals holds a store to the terms of Arrivals.
func TestArrivals(t *testing.T, open func(t *testing.T) Arrivals) {
	for name, test := range map[string]func(*testing.T, Arrivals){
		"what comes in parts is what comes at once":      arrivalsInParts,
		"what came before an error stays":                arrivalsReaderFails,
		"a context that ends keeps what came":            arrivalsCancelled,
		"what the ledger was not told is written over":   arrivalsUnsaved,
		"a save that fails ends it":                      arrivalsSaveFails,
		"of two writers the later one's bytes stay":      arrivalsTwoWriters,
		"completing twice is no error":                   arrivalsCompleteTwice,
		"what has not all arrived is not completed":      arrivalsIncomplete,
		"deleting leaves nothing of what has arrived":    arrivalsDelete,
		"a part is copied of what came in parts as well": arrivalsPart,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// uploading is an upload whose ledger is one variable.
type uploading struct {
	t    *testing.T
	s    Arrivals
	file job.File
	job  job.Job
	lock chan struct{} // held by whoever changes the job
}

func begin(t *testing.T, s Arrivals, size int) *uploading {
	t.Helper()
	f := NewFile("a.mp4")
	f.Bytes = int64(size)
	u := &uploading{t: t, s: s, file: f, job: newJob(), lock: make(chan struct{}, 1)}
	u.job.Resumable(noon, job.DefaultRules(), f.Name, job.Standard)
	if err := u.job.Reserve(f.Bytes); err != nil {
		t.Fatal(err)
	}
	return u
}

// change is the ledger's Update.
func (u *uploading) change(change func(j *job.Job) error) (job.Job, error) {
	u.lock <- struct{}{}
	defer func() { <-u.lock }()
	j := u.job
	if err := change(&j); err != nil {
		return u.job, err
	}
	u.job = j
	return j, nil
}

// claim is where a writer begins: at what it returns.
func (u *uploading) claim() job.Arrival {
	u.t.Helper()
	j, err := u.change(func(j *job.Job) error { return j.ClaimArrival(noon, job.DefaultRules(), j.Arrival.Offset) })
	if err != nil {
		u.t.Fatalf("claim at %d: %v", u.job.Arrival.Offset, err)
	}
	return *j.Arrival
}

func (u *uploading) save(_ context.Context, a job.Arrival) error {
	_, err := u.change(func(j *job.Job) error { return j.Advance(noon, job.DefaultRules(), a) })
	return err
}

// append has a new writer add what r yields.
func (u *uploading) append(r io.Reader) error {
	u.t.Helper()
	return u.s.Append(u.t.Context(), u.file, u.claim(), r, u.save)
}

// add is append of what must arrive.
func (u *uploading) add(content []byte) {
	u.t.Helper()
	before := u.job.Arrival.Offset
	if err := u.append(bytes.NewReader(content)); err != nil {
		u.t.Fatalf("append %d bytes at %d: %v", len(content), before, err)
	}
	u.wantOffset(before + int64(len(content)))
}

func (u *uploading) wantOffset(want int64) {
	u.t.Helper()
	if got := u.job.Arrival.Offset; got != want {
		u.t.Fatalf("the ledger has %d bytes, want %d", got, want)
	}
}

// wantFile completes the upload and checks that it is as if content had been put, with no piece more. Then it goes.
func (u *uploading) wantFile(content []byte) {
	t := u.t
	t.Helper()
	u.wantOffset(int64(len(content)))
	if _, _, err := u.s.Open(t.Context(), u.file.ID); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open before Complete: %v, want fs.ErrNotExist", err)
	}
	got, err := u.s.Complete(t.Context(), u.file, *u.job.Arrival)
	if err != nil {
		t.Fatalf("Complete: %v", err)
	}
	sum := sha256.Sum256(content)
	want := u.file
	want.SHA256, want.Stored = hex.EncodeToString(sum[:]), got.Stored
	if diff := cmp.Diff(want, got); diff != "" || got.Stored.IsZero() {
		t.Errorf("Complete returned, stored at %v (-want +got):\n%s", got.Stored, diff)
	}
	opened, _, err := load(t.Context(), u.s, got.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, opened); diff != "" {
		t.Errorf("Open returned (-as completed +got):\n%s", diff)
	}
	wantContent(t, u.s, got.ID, content)
	if p, ok := u.s.(Pieces); ok {
		whole := mustPut(t, u.s, content)
		if n, want := p.Pieces(t, got.ID), p.Pieces(t, whole.ID); n != want {
			t.Errorf("%d pieces lie under what came in parts, %d under what came at once", n, want)
		}
		if err := u.s.Delete(t.Context(), whole.ID); err != nil {
			t.Error(err)
		}
	}
	if err := u.s.Delete(t.Context(), got.ID); err != nil { // FerretDB becomes slower with all that it has
		t.Error(err)
	}
}

func arrivalsInParts(t *testing.T, s Arrivals) {
	for _, parts := range [][]int{
		{1}, {chunk}, {chunk + 1}, {1, 1, 1}, {chunk - 1, 1}, {chunk - 1, 2}, {chunk, chunk}, {5, 0, chunk, 0, 5},
		{100, chunk + 7, 3*chunk - 107, 1}, {7 * chunk, 1 << 18, 3},
	} {
		t.Run(strings.Trim(fmt.Sprint(parts), "[]"), func(t *testing.T) {
			size := 0
			for _, n := range parts {
				size += n
			}
			content := Bytes(uint64(size), size)
			u := begin(t, s, size)
			at := 0
			for _, n := range parts {
				u.add(content[at : at+n])
				at += n
			}
			u.wantFile(content)
		})
	}
}

func arrivalsReaderFails(t *testing.T, s Arrivals) {
	broken := errors.New("the line is cut")
	for name, err := range map[string]error{"cut": broken, "hung up": io.ErrUnexpectedEOF, "wrapped": fmt.Errorf("part: %w", io.EOF)} {
		for _, n := range []int{1000, 3*chunk + 5} {
			content := Bytes(8, 4*chunk)
			u := begin(t, s, len(content))
			u.add(content[:10])
			got := u.append(io.MultiReader(bytes.NewReader(content[10:10+n]), iotest.ErrReader(err)))
			if !errors.Is(got, err) {
				t.Errorf("%s after %d bytes: Append = %v, want %v in the chain", name, n, got, err)
			}
			u.wantOffset(int64(10 + n))
			u.add(content[10+n:])
			u.wantFile(content)
		}
	}
}

func arrivalsCancelled(t *testing.T, s Arrivals) {
	u := begin(t, s, 3*chunk)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := s.Append(ctx, u.file, u.claim(), &endless{after: 2 * chunk, at: cancel}, u.save)
	if err == nil {
		t.Error("Append did not see that its context was over")
	}
	if at := u.job.Arrival.Offset; at == 0 || at > 3*chunk {
		t.Errorf("%d bytes were kept", at)
	}
	u.add(make([]byte, 3*chunk-u.job.Arrival.Offset))
	u.wantFile(make([]byte, 3*chunk))
}

// A process that dies has stored what nobody knows of.
func arrivalsUnsaved(t *testing.T, s Arrivals) {
	dead := errors.New("the process is dead")
	for _, before := range []int{0, chunk + 100} {
		content := Bytes(9, 5*chunk+9)
		u := begin(t, s, len(content))
		u.add(content[:before])
		for seed := range 2 { // who goes on need not send the same bytes again: to nobody was said that they are here
			lost := Bytes(uint64(20+seed), len(content)-before-seed*chunk)
			err := s.Append(t.Context(), u.file, u.claim(), bytes.NewReader(lost), func(context.Context, job.Arrival) error { return dead })
			if !errors.Is(err, dead) {
				t.Errorf("Append = %v, want what save says", err)
			}
			u.wantOffset(int64(before))
		}
		u.add(content[before : before+1])
		u.add(content[before+1:])
		u.wantFile(content)
	}
}

func arrivalsSaveFails(t *testing.T, s Arrivals) {
	u := begin(t, s, 2*chunk)
	lost := u.claim()
	u.claim()
	if err := s.Append(t.Context(), u.file, lost, bytes.NewReader(Bytes(1, chunk)), u.save); !errors.Is(err, job.ErrLost) {
		t.Errorf("Append of a writer whose place is taken: %v, want job.ErrLost", err)
	}
	u.wantOffset(0)
	content := Bytes(2, 2*chunk)
	u.add(content)
	u.wantFile(content)
}

func arrivalsCompleteTwice(t *testing.T, s Arrivals) {
	content := Bytes(10, chunk+1)
	u := begin(t, s, len(content))
	u.add(content[:5])
	u.add(content[5:])
	errs := atOnce(3, func(int) error {
		_, err := s.Complete(t.Context(), u.file, *u.job.Arrival)
		return err
	})
	if err := errors.Join(errs...); err != nil {
		t.Errorf("Complete by several: %v", err)
	}
	first, _, err := load(t.Context(), s, u.file.ID)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.Complete(t.Context(), u.file, *u.job.Arrival)
	if diff := cmp.Diff(first, again); err != nil || diff != "" {
		t.Errorf("Complete once more: %v (-open +got):\n%s", err, diff)
	}
	wantContent(t, s, u.file.ID, content)
}

func arrivalsIncomplete(t *testing.T, s Arrivals) {
	u := begin(t, s, 2*chunk)
	for _, n := range []int{0, chunk - 1, 1} {
		u.add(make([]byte, n))
		if _, err := s.Complete(t.Context(), u.file, *u.job.Arrival); err == nil {
			t.Errorf("Complete after %d of %d bytes succeeded", u.job.Arrival.Offset, u.file.Bytes)
		}
	}
	u.add(make([]byte, chunk))
	u.wantFile(make([]byte, 2*chunk))
}

func arrivalsDelete(t *testing.T, s Arrivals) {
	for _, n := range []int{1, chunk, 3*chunk + 1, 4 * chunk} {
		u := begin(t, s, 4*chunk)
		u.add(make([]byte, n))
		if err := s.Delete(t.Context(), u.file.ID); err != nil {
			t.Errorf("Delete: %v", err)
		}
		wantNothing(t, s, u.file.ID)
	}
}

func arrivalsPart(t *testing.T, s Arrivals) {
	content := Bytes(12, 40*chunk)
	u := begin(t, s, len(content))
	for _, n := range []int{3*chunk + 1, 2 * chunk, 5*chunk - 1, 30 * chunk} {
		at := u.job.Arrival.Offset
		u.add(content[at : at+int64(n)])
	}
	f, err := s.Complete(t.Context(), u.file, *u.job.Arrival)
	if err != nil {
		t.Fatal(err)
	}
	wantPart(t, s, f.ID, content)
}
