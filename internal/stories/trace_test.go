package stories

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mp3converter/internal/testmedia"
	"mp3converter/internal/testserver"
	"mp3converter/internal/testsuite"
)

// strangers is a trace of somebody else's.
const strangers = "0af7651916cd43dd8448eb211c80319c"

// upload is what one upload is seen as.
const uploaded = `gateway: POST /upload
   gateway: POST /validate
      auth: POST /validate
   gateway: ledger insert
   gateway: put into videos
   gateway: ledger update
   gateway: ring video
`

// converted is the rest of it.
const converted = `      converter: process video
         converter: wait
         converter: claim
            converter: ledger update
         converter: fetch
         converter: encode
         converter: store
            converter: put into mp3s
         converter: commit
            converter: ledger update
         converter: ring mp3
            notification: process mp3
               notification: claim
                  notification: ledger update
               notification: mail
                  notification: smtp
               notification: ledger update
`

// TestOneUploadIsOneTrace through all services, whatever happens on the way.
func TestOneUploadIsOneTrace(t *testing.T) {
	t.Parallel()
	collector := testsuite.StartCollector(t)
	s := testsuite.NewServices(t, testsuite.Servers{
		MySQL: testserver.MySQL(t).Addr, Rabbit: testsuite.NewVhost(t), MongoDB: testsuite.NewMongoDB(t).URI(), SMTP: testsuite.MailServer(t),
	})
	s.Users = testsuite.UserTable(t, s.At.MySQL)
	s.Settings = append(collector.Settings(), "LEASE_SECONDS=6", "REMIND_SECONDS=10", "REMIND_MAX_SECONDS=10") // nobody is rung for twice who only stood still
	s.StartAll()
	s.AllReady(t)
	p := s.Someone(t)

	id := uploadTraced(t, p, "story-1", testsuite.Clip(t))
	p.Reaches(t, id, "done")
	trace := traceOf(t, collector, "story-1", "")
	t.Logf("one upload:\n%s", testsuite.Tree(trace, true))
	keep(t, "trace.txt", testsuite.Tree(trace, true))
	if diff := cmp.Diff(uploaded+converted, testsuite.Tree(trace, false)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if links := trace[0].Links; trace[0].Trace == strangers || len(links) != 1 || links[0] != strangers {
		t.Errorf("the trace is %s and linked to %v, the stranger's is %s", trace[0].Trace, links, strangers)
	}
	for _, program := range []*testsuite.Process{s.Gateway, s.Auth, s.Converter, s.Notification} {
		testsuite.Eventually(t, program.Name+" names request and trace", func() bool {
			return program.Wrote(`"request":"story-1"`) && program.Wrote(`"trace":"`+trace[0].Trace+`"`)
		})
	}

	// The broker forgets the message: the sweeper's ring goes on with the trace.
	s.Converter.Stop(t)
	id = uploadTraced(t, p, "story-2", testsuite.Clip(t))
	testsuite.Eventually(t, "the message is forgotten", func() bool {
		s.Ctl(t, "purge_queue", "video")
		return strings.Contains(s.Ctl(t, "list_queues", "name", "messages"), "video\t0")
	})
	s.StartConverter()
	p.Reaches(t, id, "done")
	trace = traceOf(t, collector, "story-2", "")
	t.Logf("the broker has lost the message:\n%s", testsuite.Tree(trace, true))
	keep(t, "trace-lost-message.txt", testsuite.Tree(trace, true))
	if got := testsuite.Tree(trace, false); !strings.HasPrefix(got, uploaded+"   gateway: ring video\n") || !strings.HasSuffix(got, "   gateway: ring video\n"+converted) {
		t.Errorf("the sweeper's ring does not go on with the trace:\n%s", got)
	}

	// The converter dies in the middle: the second attempt is in the same trace.
	s.Converter.Stop(t)
	s.StartConverter("FFMPEG="+testsuite.SlowFFmpeg(t), "SANDBOX=off")
	id = uploadTraced(t, p, "story-3", testmedia.Clip(t, testmedia.Spec{Seconds: 30}))
	p.IsConverting(t, id)
	s.Converter.Kill()
	s.StartConverter()
	p.Reaches(t, id, "done")
	trace = traceOf(t, collector, "story-3", "converter")
	t.Logf("the converter was killed:\n%s", testsuite.Tree(trace, true))
	keep(t, "trace-killed.txt", testsuite.Tree(trace, true))
	got := testsuite.Tree(trace, false)
	if !strings.HasPrefix(got, uploaded) || strings.Count(got, "converter: commit") != 1 || strings.Count(got, "notification: smtp") != 1 {
		t.Errorf("not one upload with one MP3 and one mail:\n%s", got)
	}
}

// uploadTraced uploads as a client whose own program traces, and returns the job's id.
func uploadTraced(t *testing.T, p *testsuite.Person, request, file string) string {
	t.Helper()
	a := p.Post(t, "/upload", http.Header{"X-Request-Id": {request}, "Traceparent": {"00-" + strangers + "-b7ad6b7169203331-01"}},
		testsuite.FilePart("file", "clip.mp4", []byte(testsuite.Read(t, file))))
	if a.Status != http.StatusOK || a.Header.Get("X-Request-Id") != request {
		t.Fatalf("answered %d %s, as request %q", a.Status, a.Body, a.Header.Get("X-Request-Id"))
	}
	return testsuite.JobOf(t, a)
}

// traceOf waits until the whole trace of a request's upload has come and returns it: all but what a service has not sent that was
// killed. Spans about its job must be in no other trace.
func traceOf(t *testing.T, c *testsuite.Collector, request, killed string) []testsuite.CollectedSpan {
	t.Helper()
	return testsuite.Awaited(t, "the trace of "+request+" has come", func() (trace []testsuite.CollectedSpan, whole bool) {
		spans, ids, jobs := c.Spans(), map[string]bool{}, map[string]string{}
		for _, s := range spans {
			if s.Attributes["request"] == request {
				ids[s.Trace] = true
			}
			if job := s.Attributes["job"]; job != "" {
				if other, known := jobs[job]; known && other != s.Trace {
					t.Errorf("job %s is in traces %s and %s", job, other, s.Trace)
				}
				jobs[job] = s.Trace
			}
		}
		there, names := map[string]bool{"": true}, map[string]bool{}
		for _, s := range spans {
			if ids[s.Trace] {
				trace = append(trace, s)
				there[s.ID], names[s.Name] = true, true
			}
		}
		whole = len(ids) == 1 && names["process mp3"] && names["commit"]
		for _, s := range trace {
			whole = whole && (there[s.Parent] || s.Service == killed)
		}
		return trace, whole
	})
}

// keep leaves a drawing where TRACES says, for people.
func keep(t *testing.T, name, text string) {
	t.Helper()
	if dir := os.Getenv("TRACES"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Error(err)
		}
	}
}

// TestNobodyWaitsForACollector that is not there, neither at work nor at the end.
func TestNobodyWaitsForACollector(t *testing.T) {
	t.Parallel()
	s := testsuite.OneProgram(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+testsuite.FreeAddr(t), "OTEL_BSP_SCHEDULE_DELAY=10", "GRACE_SECONDS=1")
	p := s.Someone(t)
	p.Reaches(t, p.Upload(t, testsuite.Clip(t), "clip.mp4"), "done")
	testsuite.Eventually(t, "it says so", func() bool { return s.Process.Wrote("traces are not sent") })
	s.Process.Stop(t)
}
