package outside

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The addresses that these tests call theirs: one is allowed, the other is what must not be reached.
const (
	allowed = "127.0.0.2"
	inside  = "127.0.0.1"
)

var allow = prefixes(allowed + "/32")

// server serves on an address, at a port that the others of a test have too.
func server(t *testing.T, addr string, h http.HandlerFunc) (s *httptest.Server, hits *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	hits = new(atomic.Int32)
	s = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		_, _ = io.Copy(io.Discard, r.Body) // from then on net/http sees it when the client goes
		h(w, r)
	}))
	s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	return s, hits
}

func post(t *testing.T, cfg Config, url string) (int, error) {
	t.Helper()
	return New(cfg).Post(t.Context(), url, http.Header{"X-Test": {"1"}}, "body")
}

func ok(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

// resolver answers each question for IPv4 addresses with what it is told, and says how often it was asked.
func resolver(t *testing.T, answer func(n int) string) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { conn.Close(); <-done })
	go func() {
		defer close(done)
		asked := 0
		for buf := make([]byte, 1500); ; {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			end := 12 // of the question's name
			for end < n && buf[end] != 0 {
				end += int(buf[end]) + 1
			}
			question := buf[12 : end+5]
			reply := append([]byte{buf[0], buf[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, question...)
			if buf[end+2] == 1 { // A
				asked++
				reply[7] = 1
				addr := netip.MustParseAddr(answer(asked)).As4()
				reply = append(append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4), addr[:]...)
			}
			_, _ = conn.WriteTo(reply, from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func TestANameIsJudgedByWhereItLeadsNow(t *testing.T) {
	s, hits := server(t, allowed+":0", ok)
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	_, insideHits := server(t, inside+":"+port, ok)
	cfg := Config{Allow: allow, Resolver: resolver(t, func(n int) string {
		if n == 1 {
			return allowed
		}
		return inside
	})}
	url := "http://rebind.example.com:" + port
	if status, err := post(t, cfg, url); status != 204 || err != nil || hits.Load() != 1 {
		t.Fatalf("at first: %d, %v, %d hits", status, err, hits.Load())
	}
	for range 3 {
		if status, err := post(t, cfg, url); status != 0 || err == nil || err.Error() != "the host has no public address" {
			t.Errorf("after the name was bound anew: %d, %v", status, err)
		}
	}
	if n := insideHits.Load(); n != 0 {
		t.Errorf("%d requests came in", n)
	}
}

// A name may lead where the operators allow it, so its URL is accepted: this is what tells its owner what to change. The
// addresses are refused before anything is sent.
func TestAPublicHostIsToldToBeWrongByPortOrScheme(t *testing.T) {
	cfg := Config{Allow: allow, Resolver: resolver(t, func(int) string { return "93.184.215.14" })}
	for _, url := range []string{"http://example.com/", "http://example.com:443/", "https://example.com:8443/"} {
		if err := New(cfg).CheckURL(url); err != nil {
			t.Errorf("%s is not accepted: %v", url, err)
		}
		if status, err := post(t, cfg, url); status != 0 || err == nil || err.Error() != "url must be https on port 443, as the host has a public address" {
			t.Errorf("%s: %d, %v", url, status, err)
		}
	}
}

func TestNoSpellingOfAPrivateAddressIsCalled(t *testing.T) {
	s, hits := server(t, inside+":0", ok)
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	cfg := Config{Allow: allow, Resolver: resolver(t, func(int) string { return inside })} // every name, too
	for _, host := range []string{
		"127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.0.0.1.", "0", "0.0.0.0", "localhost", "localhost.", "LOCALHOST",
		"[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:0001]", "[64:ff9b::7f00:1]", "[::127.0.0.1]", "[2002:7f00:1::]",
		"[::1%25lo]", "127.0.0.1.nip.example", "10.0.0.1", "169.254.169.254", "[fd00:ec2::254]", "metadata", "mongodb.mp3converter.svc",
	} {
		for _, scheme := range []string{"http", "https"} {
			url := fmt.Sprintf("%s://%s:%s/", scheme, host, port)
			if status, err := post(t, cfg, url); status != 0 || err == nil {
				t.Errorf("%s: %d, %v", url, status, err)
			} else if strings.Contains(err.Error(), inside) || strings.Contains(err.Error(), "dial") {
				t.Errorf("%s tells what there is inside: %v", url, err)
			}
		}
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("%d requests came in", n)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	target, hits := server(t, inside+":0", ok)
	for _, status := range []int{301, 302, 303, 307, 308} {
		s, _ := server(t, allowed+":0", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target.URL, status) })
		if got, err := post(t, Config{Allow: allow}, s.URL); got != status || err != nil {
			t.Errorf("%d, %v, want %d", got, err, status)
		}
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("%d were followed", n)
	}
}

func TestNoProxyIsBelieved(t *testing.T) {
	proxy, hits := server(t, inside+":0", ok)
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "ALL_PROXY"} {
		t.Setenv(name, proxy.URL)
	}
	s, direct := server(t, allowed+":0", ok)
	if status, err := post(t, Config{Allow: allow}, s.URL); status != 204 || err != nil || direct.Load() != 1 || hits.Load() != 0 {
		t.Errorf("%d, %v, %d direct, %d by the proxy", status, err, direct.Load(), hits.Load())
	}
}

func TestAnAnswerIsReadAsFarAsItIsOfUse(t *testing.T) {
	var written atomic.Int64
	gone := make(chan struct{})
	s, _ := server(t, allowed+":0", func(w http.ResponseWriter, r *http.Request) {
		defer close(gone)
		for chunk := make([]byte, 64<<10); r.Context().Err() == nil; {
			n, err := w.Write(chunk)
			if written.Add(int64(n)); err != nil {
				return
			}
		}
	})
	if status, err := post(t, Config{Allow: allow}, s.URL); status != 200 || err != nil {
		t.Errorf("%d, %v", status, err)
	}
	<-gone
	if n := written.Load(); n > 64<<20 { // what the kernel takes
		t.Errorf("%d bytes were written", n)
	}
	for name, h := range map[string]http.HandlerFunc{
		"large headers": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<20)) },
		"hangs up":      func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		s, _ := server(t, allowed+":0", h)
		if status, err := post(t, Config{Allow: allow}, s.URL); err == nil || err.Error() != "the connection broke off before an answer" {
			t.Errorf("%s: %d, %v", name, status, err)
		}
	}
}

func TestWhoIsSlowIsLeft(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"says nothing": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"says 103 again and again": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				w.WriteHeader(http.StatusEarlyHints)
				time.Sleep(time.Millisecond)
			}
		},
	} {
		s, _ := server(t, allowed+":0", h)
		if status, err := post(t, Config{Allow: allow, Timeout: 50 * time.Millisecond}, s.URL); status != 0 || err == nil {
			t.Errorf("who %s: %d, %v", name, status, err)
		}
	}
	dribbling, _ := server(t, allowed+":0", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done() // and no body
	})
	for patience := 50 * time.Millisecond; ; patience *= 2 { // a busy machine may need some of it
		status, err := post(t, Config{Allow: allow, Timeout: patience}, dribbling.URL)
		if status == 200 && err == nil {
			break
		}
		if patience > 10*time.Second {
			t.Fatalf("who has answered all that counts: %d, %v", status, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := New(Config{Allow: allow}).Post(ctx, dribbling.URL, http.Header{}, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("of a caller who is gone: %v", err)
	}
}

func TestCertificatesAreVerified(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(ok))
	s.Config.ErrorLog = nil
	s.StartTLS()
	defer s.Close()
	cas := x509.NewCertPool()
	cas.AddCert(s.Certificate())
	cfg := Config{Allow: prefixes("127.0.0.0/8"), RootCAs: cas}
	if status, err := post(t, cfg, s.URL); status != 204 || err != nil {
		t.Errorf("%d, %v", status, err)
	}
	cfg.RootCAs = nil
	if _, err := post(t, cfg, s.URL); err == nil || err.Error() != "its certificate is not valid for the host" {
		t.Errorf("of an unknown signer: %v", err)
	}
	cfg.RootCAs, cfg.Resolver = cas, resolver(t, func(int) string { return inside })
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	if _, err := post(t, cfg, "https://else.invalid:"+port); err == nil || err.Error() != "its certificate is not valid for the host" {
		t.Errorf("of another name: %v", err)
	}
	plain, _ := server(t, allowed+":0", ok)
	if _, err := post(t, cfg, strings.Replace(plain.URL, "http:", "https:", 1)); err == nil {
		t.Error("TLS with who speaks none")
	}
}

func TestWhatIsWrongWithAURLIsSaid(t *testing.T) {
	none, some := New(Config{}), New(Config{Allow: prefixes("10.1.0.0/16")})
	for url, want := range map[string][2]string{ // without, and with networks that are allowed
		"https://example.com/hook?key=1":             {},
		"https://example.com:443":                    {},
		"https://8.8.8.8/":                           {},
		"https://[2606:4700::1111]/":                 {},
		"http://example.com/":                        {"url must begin with https://", ""},
		"https://example.com:8443/":                  {"url must have port 443, or none", ""},
		"http://10.1.2.3:8080/":                      {"url must begin with https://", ""},
		"https://10.1.2.3/":                          {"url must lead to a public address", ""},
		"https://127.0.0.1/":                         {"url must lead to a public address", "url must lead to a public address"},
		"https://[::ffff:10.2.0.1]/":                 {"url must lead to a public address", "url must lead to a public address"},
		"http://8.8.8.8/":                            {"url must begin with https://", "url must begin with https://"},
		"https://user:pw@example.com/":               {"url must be without user and password", "url must be without user and password"},
		"https://user@example.com/":                  {"url must be without user and password", "url must be without user and password"},
		"https://example.com/#x":                     {"url must be without #", "url must be without #"},
		"ftp://example.com/":                         {"url must begin with https://", "url must begin with https://"},
		"https://example.com:0/":                     {"url must have a port from 1 to 65535, or none", "url must have a port from 1 to 65535, or none"},
		"https://example.com:99999/":                 {"url must have a port from 1 to 65535, or none", "url must have a port from 1 to 65535, or none"},
		"":                                           {"url must be a whole address, as https://example.com/path", "url must be a whole address, as https://example.com/path"},
		"example.com/hook":                           {"url must be a whole address, as https://example.com/path", "url must be a whole address, as https://example.com/path"},
		"https:///x":                                 {"url must be a whole address, as https://example.com/path", "url must be a whole address, as https://example.com/path"},
		"https://exa mple.com/":                      {"url must be a whole address, as https://example.com/path", "url must be a whole address, as https://example.com/path"},
		"https://example.com\\@10.0.0.1":             {"url must be a whole address, as https://example.com/path", "url must be a whole address, as https://example.com/path"},
		"https://ex\u200dample.com/":                 {"url must be a whole address, as https://example.com/path", "url must be a whole address, as https://example.com/path"},
		"https://e.com/" + strings.Repeat("x", 2000): {"url must have at most 2000 bytes", "url must have at most 2000 bytes"},
	} {
		for i, c := range []*Client{none, some} {
			got := ""
			if err := c.CheckURL(url); err != nil {
				got = err.Error()
			}
			if got != want[i] {
				t.Errorf("%.60q: %q, want %q", url, got, want[i])
			}
		}
	}
}
