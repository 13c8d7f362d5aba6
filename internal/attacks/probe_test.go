package attacks

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mp3converter/internal/apitest"
	"mp3converter/internal/testserver"
	"mp3converter/internal/testsuite"
)

// probe is one row being tried, by somebody of its own at an address of its own.
type probe struct {
	*testing.T
	*ground
	row    row
	me     *testsuite.Person // with a good token; in no user table
	from   net.Addr
	client *http.Client

	mu   sync.Mutex
	seen []string
	n    map[string]int // how often each was seen
}

const patience = 2 * time.Minute

func (g *ground) probe(t *testing.T, r row) *probe {
	p := &probe{T: t, ground: g, row: r, n: map[string]int{}}
	p.me = &testsuite.Person{Suite: g.Suite, Email: fmt.Sprintf("row%d.%s", r.number, testsuite.NewAddress()), Password: testsuite.Password}
	p.me.Token = sign(hs256, claims(p.me.Email, ""))
	p.from = p.place()
	p.client = p.clientAt(p.from)
	return p
}

// place is the address of a client that nobody else has.
func (g *ground) place() net.Addr {
	n := g.places.Add(1)
	return &net.TCPAddr{IP: net.IPv4(127, byte(1+n>>16), byte(n>>8), byte(n))}
}

func (p *probe) clientAt(from net.Addr) *http.Client {
	d := net.Dialer{LocalAddr: from}
	transport := &http.Transport{DialContext: d.DialContext, DisableCompression: true, MaxIdleConnsPerHost: 4}
	p.Cleanup(transport.CloseIdleConnections)
	documented := &apitest.Transport{
		Base: transport, Strays: true, Report: func(err error) { p.Error(err) },
		Only: func(r *http.Request) bool { return "http://"+r.URL.Host == p.URL },
	}
	return &http.Client{
		Timeout: patience, Transport: documented,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// see notes something for the table.
func (p *probe) see(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n[what]++; p.n[what] == 1 {
		p.seen = append(p.seen, what)
	}
}

func (p *probe) summary() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	slices.Sort(p.seen)
	var all []string
	for _, what := range p.seen {
		if n := p.n[what]; n > 1 {
			what += " ×" + strconv.Itoa(n)
		}
		all = append(all, what)
	}
	if p.Failed() {
		return "FAILED: " + strings.Join(all, ", ")
	}
	return strings.Join(all, ", ")
}

// is notes what was seen of a variant of the attack, and fails the row if it is not as it should be: one of several, where
// there are more.
func (p *probe) is(variant, got string, want ...string) {
	p.Helper()
	p.see(got)
	if !slices.Contains(want, got) {
		p.Errorf("%s: %s, want %s", variant, got, strings.Join(want, " or "))
	}
}

// send sends a request to the gateway, unless it says where, and returns the answer in words. Whatever the answer is, it
// must tell nothing of what is within, and blame nobody else.
func (p *probe) send(r testsuite.Request) (testsuite.Answer, string) {
	p.Helper()
	return p.sendBy(p.client, r)
}

// lengthless is a body of which net/http does not see the length, and so sends it in chunks.
type lengthless struct{ io.ReadSeeker }

// sendBy asks again, as it is told to, when the suite is busy with other rows, unless that is what the row is about.
func (p *probe) sendBy(client *http.Client, r testsuite.Request) (testsuite.Answer, string) {
	p.Helper()
	if r.Base == "" {
		r.Base = p.URL
	}
	var body []byte
	_, again := r.Body.(io.Seeker) // what is only a stream is sent once
	if again {
		body, _ = io.ReadAll(r.Body) // of memory
	}
	for try := 0; ; try++ {
		if again {
			_, isLengthless := r.Body.(lengthless)
			r.Body = bytes.NewReader(body)
			if isLengthless {
				r.Body = lengthless{bytes.NewReader(body)}
			}
		}
		a, err := r.TryBy(client)
		putOff := err == nil && a.Status == http.StatusServiceUnavailable && (r.Body == nil || again)
		if !putOff || !p.comesAgain(try) {
			return p.told(a, err)
		}
	}
}

// comesAgain waits as who has been put off does, and reports false where that is over, or what the row is about.
func (p *probe) comesAgain(try int) bool {
	const most, pause = 20, 500 * time.Millisecond
	if try == most || p.row.refuses {
		return false
	}
	time.Sleep(pause)
	return true
}

// told judges an answer and puts it into words.
func (p *probe) told(a testsuite.Answer, err error) (testsuite.Answer, string) {
	p.Helper()
	if err != nil {
		return a, "no answer"
	}
	p.judge(a.Status, fmt.Sprint(a.Header), a.Body)
	return a, words(a.Status, a.Header.Get("Content-Type"), a.Body)
}

// mine is send with the prober's good token.
func (p *probe) mine(r testsuite.Request) (testsuite.Answer, string) {
	p.Helper()
	r.Auth = "Bearer " + p.me.Token
	return p.send(r)
}

// words are the status, and the body of a refusal.
func words(status int, media, body string) string {
	if status < 300 || strings.HasPrefix(media, "application/json") || body == "" {
		return strconv.Itoa(status)
	}
	const most = 70
	return fmt.Sprintf("%d %s", status, strings.TrimSpace(body[:min(len(body), most)]))
}

// internals are what no client may read.
var internals = regexp.MustCompile(`(?i)goroutine |panic|\.go\b|/(var|tmp|usr|home|root|proc|etc|work)/|127\.0\.0\.1|localhost|mongo|mysql|mariadb|ferret|` +
	`sql|amqp|rabbit|gridfs|argon2|dial tcp|connection re|i/o timeout|ffmpeg|libav|\bjwt\b|hmac|signature|stack|runtime|net/http|x-powered-by|\bserver:`)

func (p *probe) judge(status int, header, body string) {
	p.Helper()
	if status >= 500 && (status != 503 || !p.row.refuses) && status != 501 && status != 505 { // RFC 9112, 6.1 and 2.3, of what no handler sees
		p.Errorf("an answer is %d %s %.200s", status, header, body)
	}
	for _, secret := range []string{testsuite.JWTSecret, testserver.MySQLPassword, testsuite.MailPassword, "$argon2"} {
		if strings.Contains(body, secret) {
			p.Errorf("an answer holds %q", secret)
		}
	}
	if found := internals.FindString(header); found != "" {
		p.Errorf("an answer's header has %q: %s", found, header)
	}
	if found := internals.FindString(body); status >= 300 && found != "" {
		p.Errorf("an answer has %q: %.300s", found, body)
	}
}

// raw sends bytes as they are, and returns all answers to them and whether the connection was closed. The text should lead to
// that: else it takes as long as the patience here. Where the only answer is to come again it does, as sendBy.
func (p *probe) raw(base, text string) (answers string, closed bool) {
	p.Helper()
	for try := 0; ; try++ {
		answers, closed = p.rawly(base, text)
		putOff := strings.HasPrefix(answered(answers), "503 service unavailable") && strings.Count(answers, "HTTP/1.1 ") == 1
		if !putOff || !p.comesAgain(try) {
			break
		}
	}
	for part := range strings.SplitSeq(answers, "HTTP/1.1 ") {
		if len(part) > 3 {
			status, _ := strconv.Atoi(part[:3])
			head, body, _ := strings.Cut(part, "\r\n\r\n")
			p.judge(status, head, body)
		}
	}
	return answers, closed
}

func (p *probe) rawly(base, text string) (answers string, closed bool) {
	p.Helper()
	c := p.dial(base)
	go func() { _, _ = io.WriteString(c, text) }() // the server may close before it has read all
	var all bytes.Buffer
	_, err := io.Copy(&all, c)
	return all.String(), !errors.Is(err, os.ErrDeadlineExceeded)
}

// listener is an address that nobody is to call, and how often somebody has.
func (p *probe) listener() (addr string, calls *atomic.Int32) {
	p.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { l.Close() })
	calls = new(atomic.Int32)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			calls.Add(1)
			c.Close()
		}
	}()
	return l.Addr().String(), calls
}

func (p *probe) dial(base string) net.Conn {
	p.Helper()
	d := net.Dialer{LocalAddr: p.from}
	c, err := d.DialContext(p.Context(), "tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		p.Fatal(err)
	}
	return c
}

// keeps notes that the row has made jobs on purpose.
func (p *probe) keeps(owner string, jobs int) {
	p.ground.mu.Lock()
	defer p.ground.mu.Unlock()
	p.kept[owner] += jobs
}

// hasHarmedNobody fails the row unless it has stored nothing but what it meant to, and all services are alive and ready.
func (p *probe) hasHarmedNobody() {
	p.Helper()
	p.ground.mu.Lock()
	want := p.kept[p.me.Email]
	p.ground.mu.Unlock()
	var n int
	for range 100 { // an upload that was cut off is undone when the gateway has noticed
		if n = p.jobs(p, p.me.Email); n == want {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if n != want {
		p.Errorf("%d jobs are stored, want %d", n, want)
	}
	for _, s := range p.processes() {
		if s.Ended() {
			p.Fatalf("%s has ended", s.Name)
		}
		if a := testsuite.Send(p, testsuite.Request{Base: "http://" + s.Serving(p, "ops"), Path: "/livez"}); a.Status != 200 || a.Body != "alive" {
			p.Errorf("%s answers /livez with %d %q", s.Name, a.Status, a.Body)
		}
		testsuite.Eventually(p, s.Name+" is ready", func() bool { return s.Ready(p).Body == "ready" })
	}
	if v := p.victim.Job(p, p.done.ID); v.State != "done" || v.MP3 == nil || *v.MP3 != *p.done.MP3 {
		p.Errorf("the victim's job is now %+v", v)
	}
}
