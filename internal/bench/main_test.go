package main

import (
	"slices"
	"testing"
)

func TestFilesKeepWithinWhatTheStoreBears(t *testing.T) {
	for name, tt := range map[string]struct {
		mb, most int64
		parallel int
		want     int64
	}{
		"one is as large as asked":     {200, 800, 1, 200},
		"many are smaller":             {200, 800, 16, 50},
		"a small one is not made more": {10, 800, 16, 10},
		"without a bound":              {200, 0, 16, 200},
	} {
		t.Run(name, func(t *testing.T) {
			s := settings{MB: tt.mb, Most: tt.most}
			if got := s.bytesEach(tt.parallel); got != tt.want*mega {
				t.Errorf("bytesEach = %d, want %d MB", got, tt.want)
			}
			b := &bench{settings: s}
			if said := len(b.smaller(tt.parallel)) > 0; said != (tt.want < tt.mb) {
				t.Errorf("that they are smaller is said: %v", said)
			}
		})
	}
}

func TestFlagsAreCheckedBeforeAnythingIsStarted(t *testing.T) {
	for name, args := range map[string][]string{
		"no size":             {"-mb", "0"},
		"no rounds":           {"-rounds", "0"},
		"no number":           {"-parallel", "1,many"},
		"none at once":        {"-parallel", "0"},
		"unknown measurement": {"-only", "upload,everything"},
		"an argument":         {"upload"},
	} {
		if s, err := parse(args); err == nil {
			t.Errorf("%s: parse(%q) = %+v, want an error", name, args, s)
		}
	}
	if folder := (measurement{name: "folder", full: true}); (settings{}).measures(folder) || !(settings{Full: true}).measures(folder) || !(settings{Only: []string{"folder"}}).measures(folder) {
		t.Error("what has no goal is not measured when it should be, or when not")
	}
	s, err := parse([]string{"-parallel", "16,1,4,1", "-only", "convert"})
	if err != nil || !slices.Equal(s.Parallel, []int{1, 4, 16}) || !slices.Equal(s.Only, []string{"convert"}) {
		t.Errorf("parse = %+v, %v", s, err)
	}
}
