package testsuite

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestOnlyWhatHasWaitedInVainIsHeldUp(t *testing.T) {
	for name, tt := range map[string]struct {
		answer Answer
		want   bool
	}{
		"a service that has waited":        {Answer{Status: 503, Body: unavailable, Took: time.Second}, true},
		"one that says so in JSON":         {Answer{Status: 503, Body: `{"detail":"` + unavailable + `"}`, Took: 3 * time.Second}, true},
		"one that has not":                 {Answer{Status: 503, Body: unavailable, Took: time.Second - 1}, false},
		"one that has waited for no other": {Answer{Status: 503, Body: "too many uploads or downloads at once, try again later", Took: time.Second}, false},
		"a slow refusal of another kind":   {Answer{Status: 500, Body: unavailable, Took: time.Second}, false},
	} {
		if got := tt.answer.HeldUp(); got != tt.want {
			t.Errorf("%s: HeldUp = %v, want %v", name, got, tt.want)
		}
	}
}

func TestOnlyWhatHasWaitedInVainIsNoTrouble(t *testing.T) {
	for line, want := range map[string]bool{
		`{"level":"ERROR","msg":"request","status":503,"took":"1.000001s"}`: true,
		`{"level":"ERROR","msg":"request","status":503,"took":"999.999ms"}`: false,
		`{"level":"ERROR","msg":"request","status":500,"took":"2s"}`:        false,
		`{"level":"INFO","msg":"mail","result":"later"}`:                    false,
		`{"level":"ERROR","msg":"request","status":503,"took":"1.000001s"`:  false, // cut off
	} {
		if got := IsHeldUp(line); got != want {
			t.Errorf("IsHeldUp(%s) = %v, want %v", line, got, want)
		}
	}
}

func TestWhatIsHeldUpIsSentAgainWhole(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err != nil || string(body) != "video" {
			t.Errorf("the body is %q, %v", body, err)
		}
		if asked.Add(1) == 1 {
			time.Sleep(time.Second)
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, unavailable)
		}
	}))
	t.Cleanup(server.Close)
	Send(t, Request{Base: server.URL, Method: http.MethodPost, Body: strings.NewReader("video")}).Is(t, http.StatusOK, "")
}

// takes answers each request after as long as its path says.
type takes struct{}

func (takes) RoundTrip(r *http.Request) (*http.Response, error) {
	d, err := time.ParseDuration(r.URL.Path[1:])
	time.Sleep(d)
	return &http.Response{StatusCode: http.StatusServiceUnavailable, Body: io.NopCloser(strings.NewReader(unavailable))}, err
}

func TestAnAnswerIsNotHeldUpByThoseBesideIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := AtOnceBy(t, &http.Client{Transport: takes{}}, Request{Base: "http://x", Path: "/0s"}, Request{Base: "http://x", Path: "/2s"})
		if answers[0].Took != 0 || answers[0].HeldUp() || answers[1].Took != 2*time.Second || !answers[1].HeldUp() {
			t.Errorf("answers %+v", answers)
		}
	})
}
