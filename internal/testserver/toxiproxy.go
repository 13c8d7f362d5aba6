package testserver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"sync"
	"testing"
)

// Toxiproxy stands between a program and a server and makes the way between them bad. One process serves all proxies of
// the test process.
type Toxiproxy struct{ *Server }

var sharedToxiproxy = sync.OnceValues(func() (*Toxiproxy, error) {
	s, err := start(spec{
		name: "toxiproxy", install: "run: make tools", ready: listening,
		command: func(_, addr string) *exec.Cmd {
			return exec.Command(Tool("toxiproxy"), "-host", "127.0.0.1", "-port", portOf(addr))
		},
	})
	return &Toxiproxy{s}, err
})

// Proxy is one way to one server.
type Proxy struct {
	Addr string // host:port for those who are to go this way
	name string
	tb   testing.TB
	api  string
}

// NewProxy opens a way to the server at host:port, which is a good one until it is told otherwise.
func NewProxy(tb testing.TB, to string) *Proxy {
	tb.Helper()
	s, err := sharedToxiproxy()
	if err != nil {
		tb.Fatal(err)
	}
	addr, err := FreeAddr()
	if err != nil {
		tb.Fatal(err)
	}
	p := &Proxy{Addr: addr, name: "to-" + addr, tb: tb, api: "http://" + s.Addr + "/proxies"}
	p.call(http.MethodPost, "", map[string]any{"name": p.name, "listen": addr, "upstream": to, "enabled": true})
	tb.Cleanup(func() { p.call(http.MethodDelete, "/"+p.name, nil) })
	return p
}

// Shut throws everybody out and lets nobody in, until Open.
func (p *Proxy) Shut() { p.call(http.MethodPost, "/"+p.name, map[string]any{"enabled": false}) }

// Open ends Shut.
func (p *Proxy) Open() { p.call(http.MethodPost, "/"+p.name, map[string]any{"enabled": true}) }

// Toxic is one way in which the way is bad, in Toxiproxy's words: latency, bandwidth, timeout, reset_peer, slicer,
// limit_data.
type Toxic struct {
	Type       string
	Upstream   bool           // on the way to the server; else on the way back
	Attributes map[string]any // latency and timeout in ms, rate in KB/s, bytes
}

// Poison adds the toxic and returns what takes it away.
func (p *Proxy) Poison(t Toxic) (cure func()) {
	p.tb.Helper()
	stream := "downstream"
	if t.Upstream {
		stream = "upstream"
	}
	name := t.Type + "_" + stream
	p.call(http.MethodPost, "/"+p.name+"/toxics", map[string]any{
		"name": name, "type": t.Type, "stream": stream, "toxicity": 1, "attributes": t.Attributes,
	})
	return func() { p.call(http.MethodDelete, "/"+p.name+"/toxics/"+name, nil) }
}

func (p *Proxy) call(method, path string, body any) {
	p.tb.Helper()
	if err := p.try(method, path, body); err != nil {
		p.tb.Fatalf("toxiproxy: %v", err)
	}
}

func (p *Proxy) try(method, path string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequest(method, p.api+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= http.StatusBadRequest {
		err = fmt.Errorf("%s %s%s: %s: %s", method, p.name, path, resp.Status, answer)
	}
	return err
}
