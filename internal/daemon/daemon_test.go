package daemon

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"mp3converter/internal/settings"
	"mp3converter/internal/web"
)

// TestMain lets the test binary be the process under test.
func TestMain(m *testing.M) {
	if os.Getenv("DAEMON_TEST_CHILD") != "" {
		Exit(child())
	}
	os.Exit(m.Run())
}

// child is a service with one slow request; it prints its addresses.
func child() error {
	s := Settings{Ops: "127.0.0.1:0", Drain: seconds(cmp.Or(os.Getenv("DAEMON_TEST_DRAIN"), "0")), Grace: seconds(os.Getenv("DAEMON_TEST_GRACE"))}
	return Run("child", s, func(p *Process) error {
		mux := http.NewServeMux()
		mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintln(os.Stdout, "began")
			_, _ = io.Copy(w, r.Body)
		})
		mux.HandleFunc("/patient", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintln(os.Stdout, "began")
			<-r.Context().Done()
			fmt.Fprint(w, context.Cause(r.Context()))
		})
		mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintln(os.Stdout, "began")
			<-web.Stopping(r.Context())
			fmt.Fprint(w, "bye")
		})
		addr, err := p.Serve("http", "127.0.0.1:0", mux)
		fmt.Fprintln(os.Stdout, addr)
		return err
	})
}

func seconds(s string) (d settings.Seconds) {
	_ = d.UnmarshalText([]byte(s))
	return d
}

// process starts the child and returns it, a reader of its lines and its address.
func process(t *testing.T, grace string) (*exec.Cmd, *bufio.Scanner, string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "DAEMON_TEST_CHILD=1", "DAEMON_TEST_GRACE="+grace)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("the child printed no address")
	}
	return cmd, lines, lines.Text()
}

// slowRequest sends a request whose body is open until the returned writer is closed; its outcome comes on the channel.
func slowRequest(t *testing.T, lines *bufio.Scanner, addr string) (*io.PipeWriter, <-chan error) {
	t.Helper()
	body, w := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+"/slow", body)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		ended <- err
	}()
	if !lines.Scan() || lines.Text() != "began" {
		t.Fatalf("the request did not begin: %q", lines.Text())
	}
	return w, ended
}

func TestASignalLetsTheRunningRequestEnd(t *testing.T) {
	cmd, lines, addr := process(t, "60")
	body, ended := slowRequest(t, lines, addr)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	refused(t, addr)
	body.Close()
	if err := <-ended; err != nil {
		t.Errorf("the running request failed: %v", err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the process ended with %v, want 0", err)
	}
}

func TestADrainingProcessSendsItsClientsElsewhere(t *testing.T) {
	t.Setenv("DAEMON_TEST_DRAIN", "3600")
	cmd, lines, addr := process(t, "60")
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	go func() {
		for lines.Scan() { // so that no request waits for a reader of its "began"
		}
	}()
	ask := func() (closes bool) {
		resp, err := http.Get("http://" + addr + "/slow")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
		return resp.Close
	}
	if ask() {
		t.Error("a connection ends after one answer")
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if ask() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the draining process keeps its connections")
}

func TestAnEndlessRequestHearsOfTheSignal(t *testing.T) {
	cmd, lines, addr := process(t, "3600")
	said := make(chan string, 1)
	go func() {
		defer close(said)
		resp, err := http.Get("http://" + addr + "/endless")
		if err != nil {
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		said <- string(body)
	}()
	if !lines.Scan() || lines.Text() != "began" {
		t.Fatalf("the request did not begin: %q", lines.Text())
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the process ended with %v, want 0", err)
	}
	if got := <-said; got != "bye" {
		t.Errorf("the answer is %q", got)
	}
}

func TestARequestThatOutlivesTheGraceIsCutOff(t *testing.T) {
	cmd, lines, addr := process(t, "0.05")
	body, ended := slowRequest(t, lines, addr)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the process ended with %v, want 0", err)
	}
	body.Close()
	if err := <-ended; err == nil {
		t.Error("the request got a clean answer")
	}
}

func TestARequestThatIsCutOffHasItsLastWords(t *testing.T) {
	cmd, lines, addr := process(t, "0.05")
	said := make(chan string, 1)
	go func() {
		defer close(said)
		resp, err := http.Get("http://" + addr + "/patient")
		if err != nil {
			return
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		said <- string(text)
	}()
	if !lines.Scan() || lines.Text() != "began" {
		t.Fatalf("the request did not begin: %q", lines.Text())
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the process ended with %v, want 0", err)
	}
	if got := <-said; got != web.ErrStopping.Error() {
		t.Errorf("the request's last words: %q", got)
	}
}

func TestASecondSignalEndsAtOnce(t *testing.T) {
	cmd, lines, addr := process(t, "3600")
	body, _ := slowRequest(t, lines, addr)
	defer body.Close()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	refused(t, addr)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("the process ended with %v, want exit status 1", err)
	}
}

// refused waits until nobody listens on addr.
func refused(t *testing.T, addr string) {
	t.Helper()
	for range 1000 {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
		if err != nil {
			return
		}
		conn.Close()
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the process still takes connections")
}

func TestReadyzNamesWhatIsMissing(t *testing.T) {
	p := &Process{Log: slog.New(slog.DiscardHandler), Metrics: NewMetrics("test")}
	broken := errors.New("connection refused")
	p.Needs("mysql", func(context.Context) error { return broken })
	p.Needs("rabbitmq", func(context.Context) error { return nil })
	h := p.OpsHandler()

	if code, body := get(t, h, "/readyz"); code != 503 || !strings.Contains(body, "mysql: connection refused") || strings.Contains(body, "rabbitmq") {
		t.Errorf("/readyz = %d %q", code, body)
	}
	if code, body := get(t, h, "/livez"); code != 200 || body != "alive" {
		t.Errorf("/livez = %d %q: a dependency must not restart us", code, body)
	}
	if code, body := get(t, h, "/metrics"); code != 200 || !strings.Contains(body, `build_info{service="test"`) {
		t.Errorf("/metrics = %d without build_info", code)
	}
	broken = nil
	p.ready.at = time.Time{} // the cached result is over
	if code, body := get(t, h, "/readyz"); code != 200 {
		t.Errorf("/readyz after recovery = %d %q", code, body)
	}
	p.Wants("broker", func(context.Context) error { return errors.New("blocked") })
	p.ready.at = time.Time{}
	if code, body := get(t, h, "/readyz"); code != 200 || !strings.Contains(body, "broker: blocked") {
		t.Errorf("/readyz without what the service copes without = %d %q", code, body)
	}
	p.ready.stopping.Store(true)
	if code, body := get(t, h, "/readyz"); code != 503 || body != "stopping" {
		t.Errorf("/readyz while stopping = %d %q", code, body)
	}
}

func TestReadyzWithoutAnExcludedCheck(t *testing.T) {
	p := &Process{Log: slog.New(slog.DiscardHandler), Metrics: NewMetrics("test")}
	store := errors.New("connection refused")
	p.Needs("mongodb", func(context.Context) error { return store })
	p.Needs("indexes", func(context.Context) error { return nil })
	for query, want := range map[string]struct {
		code int
		says string
	}{
		"":                                 {503, "not ready:\nmongodb: connection refused"},
		"?exclude=indexes":                 {503, "not ready:\nmongodb: connection refused"},
		"?exclude=mongodb":                 {200, "ready, coping without:\nmongodb: connection refused"},
		"?exclude=mongodb&exclude=indexes": {200, "ready, coping without:\nmongodb: connection refused"},
		"?exclude=mongodb&exclude=mongo":   {400, "exclude: no check is called mongo"},
	} {
		if code, body := get(t, p.OpsHandler(), "/readyz"+query); code != want.code || body != want.says {
			t.Errorf("/readyz%s = %d %q, want %d %q", query, code, body, want.code, want.says)
		}
	}
	p.ready.stopping.Store(true)
	if code, _ := get(t, p.OpsHandler(), "/readyz?exclude=mongodb"); code != 503 {
		t.Errorf("/readyz?exclude=mongodb while stopping = %d, want 503", code)
	}
}

func TestReadinessChecksAreCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // else a busy machine may take longer than they are good for
		p := &Process{Metrics: NewMetrics("test")}
		asked := 0
		p.Needs("store", func(context.Context) error { asked++; return nil })
		for range 10 {
			get(t, p.OpsHandler(), "/readyz")
		}
		if asked != 1 {
			t.Errorf("10 probes asked the store %d times, want once", asked)
		}
		time.Sleep(checkFresh)
		get(t, p.OpsHandler(), "/readyz")
		if asked != 2 {
			t.Errorf("a probe after %v had the store asked %d times in all, want twice", checkFresh, asked)
		}
	})
}

func get(t *testing.T, h http.Handler, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func TestWaitForGoesOnUntilItIsThere(t *testing.T) {
	var log strings.Builder
	p := &Process{Log: slog.New(slog.NewJSONHandler(&log, nil))}
	tries := 0
	err := p.WaitFor(t.Context(), "mongodb", func(context.Context) error {
		if tries++; tries < 3 {
			return errors.New("refused")
		}
		return nil
	})
	if err != nil || tries != 3 {
		t.Errorf("WaitFor = %v after %d tries", err, tries)
	}
	var line struct{ Msg, For, Err string }
	if err := json.NewDecoder(strings.NewReader(log.String())).Decode(&line); err != nil || line.For != "mongodb" || line.Err != "refused" {
		t.Errorf("the log does not say what it waits for: %s", log.String())
	}
}
