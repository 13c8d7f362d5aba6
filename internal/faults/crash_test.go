package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"mp3converter/internal/checker"
	"mp3converter/internal/failpoint"
	"mp3converter/internal/testsuite"
)

// crash is one crash point: its name in our guide, and what it is in the code.
type crash struct {
	name  string
	point failpoint.Point
	n     int // the passage at which it fires
}

// The crash points of each service. G4b is ours: the upload becomes a job in the ledger, after its file is whole.
var (
	gatewayCrashes = []crash{
		{"G1", failpoint.UploadAdmitted, 1}, {"G2", failpoint.ChunksStored, 1}, {"G3", failpoint.FileWhole, 1},
		{"G4", failpoint.FileStored, 1}, {"G4b", failpoint.JobCommitted, 1}, {"G5", failpoint.Published, 1},
		{"G6", failpoint.Confirmed, 1}, {"G7", failpoint.UploadReply, 1},
	}
	sweeperCrashes   = []crash{{"S1", failpoint.Expired, 1}} // of a gateway, too
	converterCrashes = []crash{
		{"C1", failpoint.ConversionRung, 1}, {"C2", failpoint.ConversionClaimed, 1}, {"C3", failpoint.ChunkRead, 3},
		{"C4", failpoint.FFmpegRunning, 2}, // the first is the test of ffmpeg at the start
		{"C5", failpoint.VideoEncoded, 1}, {"C6", failpoint.ChunksStored, 1},
		{"C7", failpoint.FileWhole, 1}, {"C8", failpoint.FileStored, 1}, {"C9", failpoint.MP3Committed, 1},
		{"C10", failpoint.Published, 1}, {"C11", failpoint.MessageHandled, 1},
	}
	// Of an upload that comes in three parts; the passages are of the second, and of the third where all of it is there.
	partsCrashes = []crash{
		{"P1", failpoint.ChunksStored, 2}, {"P2", failpoint.OffsetDue, 2}, {"P3", failpoint.OffsetSaved, 2},
		{"P4", failpoint.OffsetSaved, 3}, {"P5", failpoint.FileWhole, 1}, {"P6", failpoint.FileStored, 1},
		{"P7", failpoint.JobCommitted, 1}, {"P8", failpoint.UploadReply, 1},
	}
	notificationCrashes = []crash{
		{"N1", failpoint.MailRung, 1}, {"N2", failpoint.MailClaimed, 1}, {"N3", failpoint.LetterHalf, 1},
		{"N4", failpoint.LetterEnded, 1}, {"N5", failpoint.MailTaken, 1}, {"N6", failpoint.MessageHandled, 1},
	}
)

// twice are the moments at which nobody can know whether the mail server has the mail.
var twice = map[string]bool{"N4": true, "N5": true}

// actions are what is done to a process at a point. One that stalls keeps its lease, one that is frozen loses it.
var actions = []string{"kill", "error", "stall", "freeze"}

// frozenFor is how long a process stands still: twice its lease, and time for another to do its work.
const frozenFor = 5 * time.Second

// fenced are moments before a commit, at which who was taken for dead must find that the job is another's.
var fenced = map[string]bool{"G4": true, "P2": true, "P6": true, "C8": true, "N3": true}

// run is one of the combinations.
type run struct {
	crash
	action  string
	workers int // processes of the service
}

func (c run) String() string { return fmt.Sprintf("%s, %s, %d", c.name, c.action, c.workers) }

// runs are all combinations of some crash points, or, unless -full is given, each point killed once, every third failed
// with two at work, one stalled, and one frozen where a fence must hold.
func runs(crashes []crash) (all []run) {
	for i, c := range crashes {
		for _, action := range actions {
			for workers := 1; workers <= 2; workers++ {
				chosen := action == "kill" && workers == 1 ||
					action == "error" && workers == 2 && i%3 == 0 ||
					action == "stall" && workers == 1 && i == len(crashes)/2 ||
					action == "freeze" && workers == 2 && fenced[c.name]
				if *full || chosen {
					all = append(all, run{c, action, workers})
				}
			}
		}
	}
	return all
}

func TestCrashPoints(t *testing.T) {
	t.Parallel()
	for _, service := range []struct {
		title, name string
		crashes     []crash
		settings    []string
	}{
		{"gateway", "gateway", gatewayCrashes, nil},
		{"sweeper", "gateway", sweeperCrashes, []string{"KEEP_VIDEO_HOURS=0.0003"}}, // a second
		{inParts, inParts, partsCrashes, nil},
		{"converter", "converter", converterCrashes, nil},
		{"notification", "notification", notificationCrashes, nil},
	} {
		t.Run(service.title, func(t *testing.T) {
			t.Parallel()
			all, failed := runs(service.crashes), 0
			s := newStand(t, service.name, service.settings...)
			for _, c := range all {
				if !t.Run(c.String(), func(t *testing.T) { s.in(t).run(c) }) {
					failed++
					s = newStand(t, service.name, service.settings...) // what one run has left would be found by the next
				}
			}
			s.unacked(t)
			t.Logf("%s: %d points, %d runs, %d with violations", service.title, len(service.crashes), len(all), failed)
		})
	}
}

// inParts is the gateway with uploads that can be resumed.
const inParts = "gateway in parts"

// stand is a rig of which one service is started anew for every run, and the others run through.
type stand struct {
	*rig
	service string
	video   testsuite.Video
	inParts bool // the video comes
}

func newStand(t *testing.T, service string, settings ...string) *stand {
	s := &stand{newRig(t, testsuite.NewVhost(t), append(settings, "WORKERS=1", shortUploads)...), service, talk(t), false}
	s.StartAuth()
	s.StartConverter()
	if service == "notification" {
		s.StartNotification()
	} else {
		s.StartNotification(longLease) // it is not hit, and sends each mail once
	}
	s.gateway()
	s.user()
	s.upload(s.video, "", idle)
	s.check(t, checker.Allowed{}) // the run without a fault
	if service == inParts {
		s.inParts, s.service = true, "gateway"
	}
	for name, p := range map[string]*testsuite.Process{"gateway": s.Gateway, "converter": s.Converter, "notification": s.Notification} {
		if name == s.service {
			p.Stop(t)
			continue
		}
		s.watch(t, p)
	}
	s.watch(t, s.Auth)
	if s.service == "gateway" {
		s.Gates = nil
	}
	return s
}

// in is the stand for one run: what the run starts ends with it.
func (s *stand) in(t *testing.T) *stand { return &stand{s.rig.in(t), s.service, s.video, s.inParts} }

// run has one upload pass while the service is hit once.
func (s *stand) run(c run) {
	t := s.t
	s.wipe()
	fired := filepath.Join(t.TempDir(), "fired")
	var processes []*testsuite.Process
	for range c.workers {
		processes = append(processes, s.startService(fmt.Sprintf("FAILPOINT=%s:%s@%d", c.point, c.action, c.n), "FAILPOINT_FIRED="+fired))
	}
	// With one process the killed one is started again, as Kubernetes does; of two the other takes over.
	deaths := 0
	revive := func() {
		for i, p := range processes {
			if p != nil && p.Ended() {
				deaths++
				processes[i] = nil
				if c.workers == 1 {
					processes[i] = p.Again(t)
				}
			}
		}
	}
	var thawed sync.WaitGroup
	all := slices.Clone(processes)
	if c.action == "freeze" {
		thawed.Go(func() { thaw(t, fired, all) })
	}
	if s.inParts {
		if c.action == "stall" || c.action == "freeze" {
			s.client = hasty
		}
		s.resume(s.video, len(s.video.Data)/3+1, revive)
	} else if c.workers == 1 {
		s.upload(s.video, "the key", revive)
	} else { // without a key what was refused must not become a job, so each try has a name
		s.uploadEach(func(n int) testsuite.Video {
			return testsuite.Video{Name: number("take", n) + ".mov", Data: s.video.Data, Sound: s.video.Sound}
		}, "", revive)
	}
	testsuite.Eventually(t, "the point is passed", func() bool { return exists(fired) })
	switch c.action {
	case "kill":
		testsuite.Eventually(t, "the process is dead", func() bool { revive(); return deaths == 1 })
	case "stall":
		testsuite.Eventually(t, "the stall is over", func() bool { return exists(fired + failpoint.Over) })
	case "freeze":
		thawed.Wait()
	}
	s.check(t, checker.Allowed{DuplicateMails: twice[c.name]})
	mails := len(s.letters(t))
	revive()
	if want := map[bool]int{true: 1}[c.action == "kill"]; deaths != want {
		t.Errorf("I9: %d processes have ended, want %d", deaths, want)
	}
	for _, p := range processes {
		if p != nil {
			p.Stop(t)
		}
	}
	if more := len(s.letters(t)) - mails; more > 0 {
		t.Errorf("I5: %d mails more after all was done", more)
	}
}

// thaw has the frozen one of some processes go on, once it has stood still for long enough.
func thaw(t *testing.T, fired string, processes []*testsuite.Process) {
	for !exists(fired) || !slices.ContainsFunc(processes, (*testsuite.Process).IsFrozen) { // which may be a moment later
		if t.Context().Err() != nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(frozenFor)
	for _, p := range processes {
		p.Signal(syscall.SIGCONT)
	}
}

func (s *stand) startService(settings ...string) *testsuite.Process {
	switch s.service {
	case "gateway":
		return s.gateway(settings...)
	case "converter":
		s.StartConverter(settings...)
		return s.Converter
	default:
		s.StartNotification(settings...)
		return s.Notification
	}
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}
