package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mp3converter/internal/gateway"
	"mp3converter/internal/job"
)

// What happens on the wire while an upload runs.

const mega = 1 << 20

// curl runs the real one against addr and returns the status, the body and what curl said.
func (r *rig) curl(addr string, args ...string) (status, body, said string) {
	r.Helper()
	program, err := exec.LookPath("curl")
	if err != nil {
		r.Fatalf("install curl: %v", err)
	}
	args = append([]string{"--silent", "--show-error", "--max-time", "60", "--write-out", "\n%{http_code}"}, args...)
	cmd := exec.CommandContext(r.Context(), program, append(args, "http://"+addr+"/upload")...)
	var out, diagnosis bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &diagnosis
	if err := cmd.Run(); err != nil {
		fmt.Fprintf(&diagnosis, " (%v)", err)
	}
	i := strings.LastIndexByte(out.String(), '\n')
	return out.String()[i+1:], out.String()[:i], diagnosis.String()
}

// onDisk writes n bytes to a file for curl.
func (r *rig) onDisk(n int) (path string) {
	r.Helper()
	path = filepath.Join(r.TempDir(), "vid_1.mp4")
	r.must(os.WriteFile(path, bytes.Repeat([]byte("v"), n), 0o600))
	return path
}

func TestCurlDoesNotSendAVideoThatIsRefused(t *testing.T) {
	t.Parallel()
	r := start(t, func(_ *rig, cfg *gateway.Config) { cfg.MaxUpload = 6 * mega })
	small, large := r.onDisk(5*mega), r.onDisk(7*mega)
	for name, tt := range map[string]struct {
		token, path string
		more        []string
		status      string
		text        string
	}{
		"no token":         {"", small, nil, "401", "missing credentials"},
		"a bad token":      {"bad", small, nil, "403", "not authorized"},
		"not an admin":     {"guest:" + sid, small, nil, "401", "not authorized"},
		"over the limit":   {sid, large, nil, "413", "the file is too large"},
		"a bad key":        {sid, small, []string{"-H", "Idempotency-Key: ü"}, "400", "Idempotency-Key"},
		"a gzip bomb":      {sid, small, []string{"-H", "Content-Encoding: gzip"}, "415", "Content-Encoding"},
		"no form":          {sid, small, []string{"-H", "Content-Type: video/mp4"}, "400", "exactly 1 file required"},
		"accepted, to see": {sid, small, nil, "200", "success!"},
	} {
		t.Run(name, func(t *testing.T) {
			addr, sent := r.in(t).proxy()
			args := append([]string{"-H", "Authorization: Bearer " + tt.token, "-F", "file=@" + tt.path}, tt.more...)
			if tt.token == "" {
				args = args[2:]
			}
			status, body, said := r.in(t).curl(addr, args...)
			if status != tt.status || !strings.Contains(body, tt.text) || said != "" {
				t.Errorf("curl got %s %q and says %q, want %s %q", status, body, said, tt.status, tt.text)
			}
			if n := sent.Load(); (n > 5*mega) != (status == "200") || status != "200" && n > 10_000 {
				t.Errorf("curl sent %d bytes", n)
			}
		})
	}
}

// A refusal may come while the client is sending. It must be able to read the answer all the same.
func TestCurlReadsARefusalInTheMiddleOfItsVideo(t *testing.T) {
	t.Parallel()
	r := start(t, func(_ *rig, cfg *gateway.Config) { cfg.MaxUpload = 6 * mega })
	small, large := r.onDisk(3*mega), r.onDisk(20*mega)
	auth := []string{"-H", "Authorization: Bearer " + sid}
	for name, tt := range map[string]struct {
		args   []string
		status string
		text   string
	}{
		"two files":                        {[]string{"-F", "a=@" + small, "-F", "b=@" + small}, "400", "exactly 1 file required"},
		"two files, not expecting":         {[]string{"-F", "a=@" + small, "-F", "b=@" + small, "-H", "Expect:"}, "400", "exactly 1 file required"},
		"over the limit, of unknown size":  {[]string{"-F", "a=@" + large, "-H", "Transfer-Encoding: chunked"}, "413", "too large"},
		"the same, not expecting":          {[]string{"-F", "a=@" + large, "-H", "Transfer-Encoding: chunked", "-H", "Expect:"}, "413", "too large"},
		"over the limit, not expecting":    {[]string{"-F", "a=@" + large, "-H", "Expect:"}, "413", "too large"},
		"a bad token, not expecting":       {[]string{"-F", "a=@" + large, "-H", "Expect:", "-H", "Authorization: Bearer bad"}, "403", "not authorized"},
		"a form cut short by its producer": {[]string{"-H", "Content-Type: multipart/form-data; boundary=x", "--data-binary", "@" + small}, "400", "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			args := tt.args
			if !slices.Contains(args, "Authorization: Bearer bad") {
				args = append(args, auth...)
			}
			status, body, said := r.in(t).curl(r.addr, args...)
			if status != tt.status || !strings.Contains(body, tt.text) || said != "" {
				t.Errorf("curl got %s %q and says %q, want %s %q", status, body, said, tt.status, tt.text)
			}
		})
	}
	r.wantNothing()
}

func TestCurlRepeatsAnUploadWithItsKey(t *testing.T) {
	t.Parallel()
	r := start(t)
	path := r.onDisk(3 * mega)
	first := r.in(t)
	for _, more := range [][]string{nil, nil, {"-H", "Expect:"}, {"-H", "Transfer-Encoding: chunked"}} {
		args := append([]string{"-H", "Authorization: Bearer " + sid, "-H", "Idempotency-Key: k", "-F", "file=@" + path}, more...)
		status, body, said := first.curl(r.addr, args...)
		if status != "200" || body != "success!" || said != "" {
			t.Errorf("curl got %s %q and says %q", status, body, said)
		}
	}
	if n := len(r.all()); n != 1 {
		t.Errorf("%d jobs of one key", n)
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
		"chunked":                           {head("Transfer-Encoding: chunked\r\n") + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(good), good), 200, false},
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

// slowly is a request whose body comes as the test says.
func slowly(q request) (request, *io.PipeWriter) {
	in, out := io.Pipe()
	q.path, q.method, q.body = "/upload", http.MethodPost, in
	if q.header == nil {
		q.header = http.Header{}
	}
	q.header.Set("Content-Type", "multipart/form-data; boundary=b")
	return q, out
}

// async sends a request and gives its answer later.
func (r *rig) async(q request) <-chan answer {
	c := make(chan answer, 1)
	go func() {
		a, err := r.try(q)
		if err != nil {
			a.err = err
		}
		c <- a
	}()
	return c
}

func TestUploadsAtOnceAreLimited(t *testing.T) {
	t.Parallel()
	r := start(t, func(_ *rig, cfg *gateway.Config) { cfg.MaxUploads, cfg.MaxUploadsEach = 3, 2 })
	busy := func(n float64) func() bool { return func() bool { return r.gauge("gateway_uploads") == n } }
	begin := func(user string, n float64) (*io.PipeWriter, <-chan answer) {
		q, out := slowly(request{token: user})
		a := r.async(q)
		_, err := io.WriteString(out, opening)
		r.must(err)
		r.eventually("the upload is under way", busy(n))
		return out, a
	}
	refused := func(user string) {
		t.Helper()
		a := r.do(request{path: "/upload", form: file("video"), token: user})
		r.wantProblem(a, 503, "too many uploads")
		if a.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	first, answer1 := begin(sid, 1)
	second, answer2 := begin(sid, 2)
	refused(sid) // has his share
	third, answer3 := begin(ann, 3)
	refused(ann) // the gateway is full
	for out, a := range map[*io.PipeWriter]<-chan answer{first: answer1, second: answer2, third: answer3} {
		_, err := io.WriteString(out, "video"+closing)
		r.must(err)
		r.must(out.Close())
		r.want(<-a, 200, "success!")
	}
	r.eventually("all places are free", busy(0))
	r.upload("video")
}

func TestManyUploadsAtOnce(t *testing.T) {
	t.Parallel()
	r := start(t)
	const n = 48 // the original failed 45 of as many
	want := map[string]bool{}
	var answers []<-chan answer
	for i := range n {
		content := strings.Repeat(fmt.Sprintf("video %d ", i), 10_000+i)
		want[content] = true
		answers = append(answers, r.async(request{path: "/upload", form: file(content)}))
	}
	for _, a := range answers {
		a := <-a
		r.want(a, 200, "success!")
		delete(want, r.content(r.videos, strings.TrimPrefix(a.header.Get("Location"), "/jobs/")))
	}
	if len(want) > 0 {
		t.Errorf("%d of %d videos did not come back as they were", len(want), n)
	}
}

// sunk is a store that keeps nothing, so that only the gateway's own memory is measured.
type sunk struct{ gateway.Files }

func (sunk) Put(_ context.Context, f job.File, r io.Reader) (job.File, error) {
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, make([]byte, 256<<10))
	f.Bytes, f.Stored = n, time.Now()
	return f, err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestALargeUploadTakesLittleMemory(t *testing.T) {
	r := start(t, func(r *rig, cfg *gateway.Config) { cfg.Videos = sunk{cfg.Videos} })
	const size = 300 * mega
	q := request{
		path: "/upload", header: http.Header{"Content-Type": {"multipart/form-data; boundary=b"}},
		body:  io.MultiReader(strings.NewReader(opening), io.LimitReader(zeros{}, size), strings.NewReader(closing)),
		bytes: int64(len(opening) + size + len(closing)),
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	a := r.do(q)
	runtime.ReadMemStats(&after)
	r.want(a, 200, "success!")
	if n := after.TotalAlloc - before.TotalAlloc; n > 8*mega {
		t.Errorf("%d bytes were allocated for an upload of %d", n, size)
	}
	if j := r.job(strings.TrimPrefix(a.header.Get("Location"), "/jobs/")); j.VideoBytes != size {
		t.Errorf("job has %d bytes", j.VideoBytes)
	}
}

func TestAnUploadIsKeptAliveWhileItRuns(t *testing.T) {
	t.Parallel()
	r := start(t, func(_ *rig, cfg *gateway.Config) { cfg.Rules.UploadLease = 6 * time.Second })
	q, out := slowly(request{})
	a := r.async(q)
	_, err := io.WriteString(out, opening+"vid")
	r.must(err)
	r.eventually("the upload is announced", func() bool { return len(r.all()) == 1 })
	id := strings.TrimPrefix(r.all()[0], "uploading ")
	begun := r.job(id).CleanAt
	var renewed atomic.Int32
	r.eventually("it is renewed beyond its first lease", func() bool {
		r.must(r.service.SweepOnce(t.Context()))
		if at := r.job(id).CleanAt; at.After(begun) {
			renewed.Add(1)
			begun = at
		}
		return renewed.Load() == 3
	})
	_, err = io.WriteString(out, "eo"+closing)
	r.must(err)
	r.must(out.Close())
	r.want(<-a, 200, "success!")
	if j := r.job(id); j.State != job.Queued || !j.CleanAt.IsZero() || r.content(r.videos, id) != "video" {
		t.Errorf("job = %+v", j)
	}
}
