package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"mp3converter/internal/gateway"
	"mp3converter/internal/job"
)

// What happens on the wire while an upload runs.

const mega = 1 << 20

// Many a client reads nothing before it has sent all.
func TestAClientThatSendsAllBeforeItReads(t *testing.T) {
	t.Parallel()
	second := strings.Replace(opening, "--b", "\r\n--b", 1) + strings.Repeat("v", 16*mega) + closing
	for name, tt := range map[string]struct {
		header, body string
		status       int
	}{
		"two files":            {"", opening + "video" + second, 400},
		"two files, expecting": {"Expect: 100-continue\r\n", opening + "video" + second, 400},
		"a file that was sent": {"Idempotency-Key: k\r\n", opening + strings.Repeat("v", 16*mega) + closing, 200},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t)
			r.do(request{path: "/upload", form: file("video"), header: http.Header{"Idempotency-Key": {"k"}}})
			c := r.dial()
			_, err := io.WriteString(c, head(tt.header+length(len(tt.body))))
			r.must(err)
			if strings.Contains(tt.header, "Expect") {
				_, err = io.ReadFull(c, make([]byte, len("HTTP/1.1 100 Continue\r\n\r\n")))
				r.must(err)
			}
			if status, body, _ := say(t, c, tt.body); status != tt.status {
				t.Errorf("answer = %d %q", status, body)
			}
		})
	}
}

// Whoever is refused hears of it at once, not after the rest of the body.
func TestARefusalDoesNotWaitForTheRest(t *testing.T) {
	t.Parallel()
	r := start(t, func(_ *rig, cfg *gateway.Config) { cfg.Stall = time.Hour })
	for name, text := range map[string]string{
		"two files":      head(length(5000)) + opening + "video\r\n" + opening + "video",
		"a bad profile":  head(length(5000)) + "--b\r\nContent-Disposition: form-data; name=profile\r\n\r\nloud\r\n--b\r\n",
		"an empty first": head(length(5000)) + opening + "\r\n" + opening + "video",
	} {
		c := r.dial()
		_, err := io.WriteString(c, text)
		r.must(err)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		r.must(err)
		if resp.StatusCode != 400 || !resp.Close {
			t.Errorf("%s: answer = %v", name, resp)
		}
		r.must(c.Close()) // else the gateway goes on reading for a while
	}
}

// The client's time is over when it has sent all, however long the store takes then.
func TestAStoreThatTakesItsTime(t *testing.T) {
	t.Parallel()
	const stall = 50 * time.Millisecond
	r := start(t, func(r *rig, cfg *gateway.Config) { cfg.Stall, cfg.Videos = stall, slow{r.videos, 4 * stall} })
	body := opening + "video" + closing
	if status, answer, _ := say(t, r.dial(), head(length(len(body)))+body); status != 200 {
		t.Errorf("answer = %d %q", status, answer)
	}
}

// slow takes long to make durable what it has got.
type slow struct {
	gateway.Files
	by time.Duration
}

func (s slow) Put(ctx context.Context, f job.File, r io.Reader) (job.File, error) {
	f, err := s.Files.Put(ctx, f, r)
	select {
	case <-ctx.Done():
		return f, ctx.Err()
	case <-time.After(s.by):
		return f, err
	}
}

// head is an upload's header and the beginning of its body.
func head(more string) string {
	return "POST /upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + sid +
		"\r\nContent-Type: multipart/form-data; boundary=b\r\n" + more + "\r\n"
}

const (
	opening = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp4\"\r\n\r\n"
	closing = "\r\n--b--\r\n"
)

// say writes, and reads the answer to its end. closed reports whether the server has hung up after it.
func say(t *testing.T, c net.Conn, text string) (status int, body string, closed bool) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(c)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if !resp.Close { // else it may take its time to: see http.rstAvoidanceDelay
		return resp.StatusCode, string(b), false
	}
	_, err = in.ReadByte()
	return resp.StatusCode, string(b), err != nil
}

func length(n int) string { return fmt.Sprintf("Content-Length: %d\r\n", n) }

func TestBodiesThatDoNotEndAsTheyShould(t *testing.T) {
	t.Parallel()
	good := opening + "video" + closing
	for name, tt := range map[string]struct {
		text   string
		status int
		closed bool
	}{
		"good":                              {head(length(len(good))) + good, 200, false},
		"without the last line end":         {head(length(len(good)-2)) + good[:len(good)-2], 200, false},
		"with an epilogue":                  {head(length(len(good)+3)) + good + "end", 200, false},
		"with a preamble":                   {head(length(len(good)+7)) + "hello\r\n" + good, 200, false},
		"cut before the last hyphen":        {head(length(len(good)-3)) + good[:len(good)-3], 400, false},
		"cut after the boundary":            {head(length(len(good)-4)) + good[:len(good)-4], 400, false},
		"cut in the boundary":               {head(length(len(good)-6)) + good[:len(good)-6], 400, false},
		"cut in the video":                  {head(length(len(opening)+2)) + opening + "vi", 400, false},
		"cut after the header":              {head(length(len(opening))) + opening, 400, false},
		"cut in the header":                 {head(length(30)) + opening[:30], 400, false},
		"chunked":                           {head("Transfer-Encoding: chunked\r\n") + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(good), good), 200, true},
		"chunked, a bad chunk size":         {head("Transfer-Encoding: chunked\r\n") + fmt.Sprintf("%x\r\n%s\r\nzz\r\n\r\n", len(good), good), 400, true},
		"an endless epilogue":               {head(length(len(good)+mega)) + good + strings.Repeat("e", mega), 400, true},
		"an endless preamble":               {head(length(len(good)+mega)) + strings.Repeat("e\r\n", mega/3) + "e" + good, 400, true},
		"an endless part header":            {head(length(mega)) + "--b\r\nX: " + strings.Repeat("e", mega-8), 400, true},
		"an endless field":                  {head(length(mega+7)) + "--b\r\n\r\n" + strings.Repeat("f", mega), 400, true},
		"many part headers":                 {head(length(mega)) + "--b\r\n" + strings.Repeat("X: e\r\n", mega/6), 400, true},
		"a nested form":                     {head(length(len(nested))) + nested, 200, false},
		"nothing for whoever expects":       {head("Expect: 100-continue\r\n" + length(5*mega) + "Content-Encoding: gzip\r\n"), 415, true},
		"nothing: its length is over limit": {head(length(5 << 30)), 413, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t)
			status, body, closed := say(t, r.dial(), tt.text)
			if status != tt.status || closed != tt.closed {
				t.Errorf("answer = %d %q, closed = %v, want %d, %v", status, body, closed, tt.status, tt.closed)
			}
			if status != 200 {
				r.wantNothing()
			}
		})
	}
}

const nested = opening + "--c\r\nContent-Disposition: form-data; filename=x\r\n\r\nvideo\r\n--c--" + closing

func TestASilentSenderIsCutOff(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]string{
		"after the header":                head(length(1000)),
		"after the header, expecting":     head("Expect: 100-continue\r\n" + length(1000)),
		"in the video":                    head(length(1000)) + opening + "vid",
		"after the form, in the body":     head(length(1000)) + opening + "video" + closing,
		"between chunks":                  head("Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n",
		"while an answer is waiting, 401": strings.Replace(head(length(1000)), "Authorization", "X", 1),
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, func(_ *rig, cfg *gateway.Config) { cfg.Stall = 100 * time.Millisecond })
			c := r.dial()
			if strings.Contains(begin, "Expect") {
				_, err := io.WriteString(c, begin)
				r.must(err)
				line := make([]byte, len("HTTP/1.1 100 Continue\r\n\r\n"))
				_, err = io.ReadFull(c, line)
				r.must(err)
				begin = ""
			}
			status, body, closed := say(t, c, begin)
			want := map[bool]int{true: 401, false: 408}[strings.HasSuffix(name, "401")]
			if status != want || !closed {
				t.Errorf("answer = %d %q, closed = %v", status, body, closed)
			}
			r.wantNothing()
		})
	}
}

func TestASenderThatDripsIsCutOff(t *testing.T) {
	t.Parallel()
	r := start(t, func(_ *rig, cfg *gateway.Config) { cfg.Stall = 200 * time.Millisecond })
	c := r.dial()
	_, err := io.WriteString(c, head(length(mega))+opening)
	r.must(err)
	drip := time.NewTicker(10 * time.Millisecond)
	defer drip.Stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for err := error(nil); err == nil; <-drip.C {
			_, err = io.WriteString(c, "v")
		}
	}()
	status, body, _ := say(t, c, "")
	_ = c.Close()
	<-done
	if status != 408 {
		t.Errorf("answer = %d %q", status, body)
	}
	r.wantNothing()
}

func TestAClientThatHangsUpLeavesNothing(t *testing.T) {
	t.Parallel()
	r := start(t)
	for name, text := range map[string]string{
		"after the header": head(length(1000)),
		"in the video":     head(length(3*mega)) + opening + strings.Repeat("v", 2*mega),
		"before the end":   head(length(len(opening)+len(closing)+5)) + opening + "video" + closing[:4],
	} {
		t.Run(name, func(t *testing.T) {
			r := r.in(t)
			c := r.dial()
			_, err := io.WriteString(c, text)
			r.must(err)
			r.eventually("the upload is under way", func() bool { return r.gauge("gateway_uploads") == 1 })
			r.must(c.Close())
			r.eventually("it ends", func() bool { return r.gauge("gateway_uploads") == 0 })
			r.wantNothing()
		})
	}
}

func TestAnUploadIsKeptAliveWhileItRuns(t *testing.T) {
	t.Parallel()
	const lease = 15 * time.Second // a third of it may be over at any time; the rest is more than a busy machine stands still for
	r := start(t, func(_ *rig, cfg *gateway.Config) { cfg.Rules.UploadLease = lease })
	q, out := slowly(request{})
	a := r.async(q)
	_, err := io.WriteString(out, opening+"vid")
	r.must(err)
	r.eventually("the upload is announced", func() bool { return len(r.all()) == 1 })
	id := strings.TrimPrefix(r.all()[0], "uploading ")
	first := r.job(id).CleanAt
	last, renewed := first, 0
	r.eventually("it is renewed, and again, and outlives its first lease", func() bool {
		swept := time.Now()
		r.must(r.service.SweepOnce(t.Context()))
		if at := r.job(id).CleanAt; at.After(last) {
			renewed++
			last = at
		}
		return renewed >= 2 && swept.After(first)
	})
	_, err = io.WriteString(out, "eo"+closing)
	r.must(err)
	r.must(out.Close())
	r.want(<-a, 200, "success!")
	if j := r.job(id); j.State != job.Queued || !j.CleanAt.IsZero() || r.content(r.videos, id) != "video" {
		t.Errorf("job = %+v", j)
	}
}
