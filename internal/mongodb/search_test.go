package mongodb

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mp3converter/internal/job"
)

func TestCleanDueIsDueWithoutTheBells(t *testing.T) {
	l := open(t).Jobs()
	var want []string
	for i, j := range []job.Job{
		{RingAt: noon.Add(-time.Hour)}, {CleanAt: noon}, {CleanAt: noon.Add(-time.Minute), RingAt: noon}, {CleanAt: noon.Add(time.Millisecond)},
	} {
		j.ID, j.State = job.NewID(noon.Add(time.Duration(i)*time.Second)), job.Failed
		j.Key = job.OwnKey(j.ID)
		if err := l.Insert(t.Context(), j); err != nil {
			t.Fatal(err)
		}
		if i == 1 || i == 2 {
			want = append([]string{j.ID}, want...)
		}
	}
	for limit := range 4 {
		jobs, err := l.CleanDue(t.Context(), noon, limit)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, j := range jobs {
			got = append(got, j.ID)
		}
		if diff := cmp.Diff(want[:min(limit, 2)], got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("at most %d:\n%s", limit, diff)
		}
	}
}
