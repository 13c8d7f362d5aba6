package porttest

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// records is what the stores of jobs, webhooks and deliveries have in common.
type records[T any] interface {
	Insert(ctx context.Context, record T) error
	Get(ctx context.Context, id string) (T, error)
}

// insertRecord returns the record as it is stored then, in its first version.
func insertRecord[T any](t *testing.T, s records[T], record T, version func(*T) *int64) T {
	t.Helper()
	if err := s.Insert(t.Context(), record); err != nil {
		t.Fatalf("Insert: %v", err)
	}
	*version(&record) = 1
	return record
}

func wantRecord[T any](t *testing.T, s records[T], id string, want T) {
	t.Helper()
	got, err := s.Get(t.Context(), id)
	if err != nil {
		t.Errorf("Get: %v", err)
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Get (-want +got):\n%s", diff)
	}
}
