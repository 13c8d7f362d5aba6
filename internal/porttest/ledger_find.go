package porttest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mp3converter/internal/job"
)

func ledgerFind(t *testing.T, l Ledger) {
	byName := map[string]string{} // names by id
	var ids []string              // the newest last
	store := func(who, name string, state job.State, profile job.Profile) {
		j := newJob()
		j.ID = job.NewID(noon.Add(time.Duration(len(byName)) * time.Hour))
		j.Owner, j.Key, j.Name, j.State, j.Profile = who, job.OwnKey(j.ID), name, state, profile
		insert(t, l, j)
		byName[j.ID] = name
		ids = append(ids, j.ID)
	}
	store(owner, "Holiday 1.mp4", job.Done, job.Standard)
	store(owner, "holiday 2.mp4", job.Failed, job.Voice)
	store(owner, "über.MKV", job.Done, job.Voice)
	store(owner, "100% (a+b)[c]{2}^$|?*.mp4", job.Queued, job.Standard)
	store(owner, `back\slash_under'quote"`, job.Converting, job.Best)
	store(owner, "holiday 3.mp4", job.Uploading, job.Standard)
	store(owner, "holiday 4.mp4", job.Deleted, job.Voice)
	store("ann@gmail.com", "holiday of ann.mp4", job.Done, job.Voice)
	const one, two, uber, odd, back = "Holiday 1.mp4", "holiday 2.mp4", "über.MKV", "100% (a+b)[c]{2}^$|?*.mp4", `back\slash_under'quote"`
	for _, tt := range []struct {
		filter job.Filter
		want   []string
	}{
		{job.Filter{}, []string{back, odd, uber, two, one}},
		{job.Filter{States: []job.State{job.Done}}, []string{uber, one}},
		{job.Filter{States: []job.State{job.Failed, job.Queued, job.Done}}, []string{odd, uber, two, one}},
		{job.Filter{States: []job.State{job.Converted}}, nil},
		{job.Filter{Profile: job.Voice}, []string{uber, two}},
		{job.Filter{Profile: job.High}, nil},
		{job.Filter{Profile: job.Voice, States: []job.State{job.Done, job.Queued}}, []string{uber}},
		{job.Filter{Name: "holiday"}, []string{two, one}},
		{job.Filter{Name: "HOLIDAY 2"}, []string{two}},
		{job.Filter{Name: "day", States: []job.State{job.Done}, Profile: job.Standard}, []string{one}},
		{job.Filter{Name: "ber.mkv"}, []string{uber}},
		{job.Filter{Name: "ü"}, []string{uber}},
		{job.Filter{Name: ".mp4"}, []string{odd, two, one}},
		{job.Filter{Name: "."}, []string{odd, uber, two, one}},
		{job.Filter{Name: "%"}, []string{odd}},
		{job.Filter{Name: "_"}, []string{back}},
		{job.Filter{Name: `\s`}, []string{back}},
		{job.Filter{Name: `'quote"`}, []string{back}},
		{job.Filter{Name: "(A+B)[C]{2}^$|?*"}, []string{odd}},
		{job.Filter{Name: "a*b"}, nil},
		{job.Filter{Name: "^100"}, nil},
		{job.Filter{Name: "[hH]oliday"}, nil},
		{job.Filter{Name: "$ne"}, nil},
	} {
		var got []string
		for before := ""; ; { // two to a page, and the next one the same
			page, err := l.Find(t.Context(), owner, tt.filter, before, 2)
			if err != nil {
				t.Fatalf("Find(%+v): %v", tt.filter, err)
			}
			for _, j := range page {
				got = append(got, byName[j.ID])
			}
			if len(page) < 2 {
				break
			}
			before = page[1].ID
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("Find(%+v) (-want +got):\n%s", tt.filter, diff)
		}
	}
	if got, err := l.Find(t.Context(), owner, job.Filter{}, ids[1], 5); err != nil || len(got) != 1 || got[0].Name != one || got[0].Version != 1 {
		t.Errorf("Find before the second = %v, %v, want the first", got, err)
	}
	if got, err := l.Find(t.Context(), owner, job.Filter{}, "", 0); err != nil || len(got) != 0 {
		t.Errorf("Find of none = %v, %v", got, err)
	}
}
