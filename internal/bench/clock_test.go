package main

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestSpentIsTheProcessorTimeOfTheProcesses(t *testing.T) {
	idle := exec.Command("sleep", "60")
	if err := idle.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = idle.Process.Kill(); _ = idle.Wait() }()
	const busy = 30 * time.Millisecond
	work := func() error {
		for start, _ := cpuClock(os.Getpid()); ; {
			if now, err := cpuClock(os.Getpid()); err != nil || now-start >= busy {
				return err
			}
		}
	}
	if used, err := spent(work, os.Getpid(), idle.Process.Pid); err != nil || used < busy {
		t.Errorf("spent = %v, %v, want at least %v", used, err, busy)
	}
	if used, err := spent(work, idle.Process.Pid); err != nil || used >= busy {
		t.Errorf("spent by a process that sleeps = %v, %v, want less than %v", used, err, busy)
	}
	if _, err := spent(work, 1<<22+1); err == nil { // above the greatest that there is
		t.Error("a process that is not there has spent something")
	}
}

func TestQuantile(t *testing.T) {
	s := samples{5, 1, 4, 2, 3}
	for q, want := range map[float64]float64{0: 1, 0.5: 3, 0.99: 5, 1: 5} {
		if got := s.quantile(q); got != want {
			t.Errorf("quantile(%v) = %v, want %v", q, got, want)
		}
	}
	if got := (samples{}).quantile(0.5); got != 0 {
		t.Errorf("quantile of nothing = %v", got)
	}
}

func TestWhatIsBeyondIsAQuantileOfTheDifferences(t *testing.T) {
	for q, want := range map[float64]float64{0.5: 2, 0.99: 6} { // of the quantiles it would be 10 − 10 and 12 − 30
		if r := beyond("x", samples{1, 10, 30}, samples{7, 12, 10}, q); r.Value != want {
			t.Errorf("beyond(%v) = %+v, want %v", q, r, want)
		}
	}
}
