package testsuite

import (
	"testing"
	"time"
)

// patience is more than anything here takes, on two cores that are busy with other tests too.
const patience = 2 * time.Minute

// Eventually asks again and again until it is so, and fails the test if it never is.
func Eventually(tb testing.TB, what string, so func() bool) {
	tb.Helper()
	Awaited(tb, what, func() (struct{}, bool) { return struct{}{}, so() })
}

// Awaited asks again and again for a value until it is there.
func Awaited[T any](tb testing.TB, what string, get func() (T, bool)) T {
	tb.Helper()
	const pause = 50 * time.Millisecond
	for deadline := time.Now().Add(patience); ; time.Sleep(pause) {
		if v, ok := get(); ok {
			return v
		}
		if time.Now().After(deadline) {
			tb.Fatalf("not after %v: %s", patience, what)
		}
	}
}
