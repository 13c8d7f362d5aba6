package testsuite

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Receiver is an endpoint that somebody's webhook leads to. Services reach it with AllowReceivers among their settings.
type Receiver struct {
	URL       string
	Elsewhere string // where it redirects to, if it does

	mu     sync.Mutex
	got    []Received
	answer func(n int) int
}

// ReceiverHost is where receivers are: not where everything else is, so that a service may be allowed to reach them only.
const ReceiverHost = "127.0.0.2"

// AllowReceivers has webhooks lead to receivers.
const AllowReceivers = "WEBHOOK_ALLOW=" + ReceiverHost + "/32"

// Received is one request.
type Received struct {
	ID   string // webhook-id
	Type string
	Job  JobView // as it is told
	Good bool    // signed with the secret that Got was given

	at, signature, body string
}

// NewReceiver starts one that answers its n-th request, from 1, with a status; nil is 204 to all.
func NewReceiver(t testing.TB, answer func(n int) int) *Receiver {
	t.Helper()
	r := &Receiver{answer: answer}
	l, err := net.Listen("tcp", ReceiverHost+":0")
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: r}}
	s.Start()
	t.Cleanup(s.Close)
	r.URL = s.URL
	return r
}

func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	var m struct {
		Type string
		Data JobView
	}
	_ = json.Unmarshal(body, &m) // else it shows as a request without a type
	r.mu.Lock()
	r.got = append(r.got, Received{
		ID: req.Header.Get("webhook-id"), Type: m.Type, Job: m.Data,
		at: req.Header.Get("webhook-timestamp"), signature: req.Header.Get("webhook-signature"), body: string(body),
	})
	n := len(r.got)
	r.mu.Unlock()
	if r.answer == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	status := r.answer(n)
	if status/100 == 3 {
		w.Header().Set("Location", r.Elsewhere)
	}
	w.WriteHeader(status)
}

// Got returns all requests so far, and of each whether it is signed with the secret.
func (r *Receiver) Got(secret string) []Received {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := slices.Clone(r.got)
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	for i, g := range all {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(g.ID + "." + g.at + "." + g.body))
		all[i].Good = g.signature == "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	return all
}

// Hook is a webhook as its owner gets it.
type Hook struct{ ID, URL, Secret string }

// AddHook makes a webhook of the person's that leads to the URL.
func (p *Person) AddHook(t testing.TB, url string) (h Hook) {
	t.Helper()
	a := p.Do(t, HookRequest(url))
	if a.Status != http.StatusCreated {
		t.Fatalf("POST /webhooks: %d %s", a.Status, a.Body)
	}
	a.Into(t, &h)
	return h
}

// HookRequest asks for a webhook that leads to the URL.
func HookRequest(url string) Request {
	body, err := json.Marshal(map[string]string{"url": url})
	if err != nil {
		panic(err) // a string marshals
	}
	return Request{Method: http.MethodPost, Path: "/webhooks", Header: http.Header{"Content-Type": {"application/json"}}, Body: strings.NewReader(string(body))}
}

// Delivery is an entry of a webhook's log.
type Delivery struct {
	ID, Event, State string
	Job              *string
	Attempts         int
	Status           *int
	Error            *string
}

// Deliveries is the webhook's log, the newest first.
func (p *Person) Deliveries(t testing.TB, h Hook) []Delivery {
	t.Helper()
	var page struct{ Deliveries []Delivery }
	p.Get(t, "/webhooks/"+h.ID+"/deliveries").Into(t, &page)
	return page.Deliveries
}
