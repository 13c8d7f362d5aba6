package otlp

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// client posts spans to a collector. OpenTelemetry's own client for HTTP has the whole of gRPC in it.
type client struct {
	url     string
	headers map[string]string
	http    *http.Client
}

// A collector that answers nothing useful is asked a few times, while spans wait in a queue of bounded length.
const (
	postTime  = 10 * time.Second
	tries     = 3
	firstWait = time.Second // twice as long after each further try
)

func newClient(s Settings) (*client, error) {
	url, err := s.url()
	if err != nil {
		return nil, err
	}
	headers, err := pairs(string(s.Headers))
	if err != nil {
		return nil, err
	}
	return &client{url: url, headers: headers, http: &http.Client{
		Transport: &http.Transport{DialContext: (&net.Dialer{Timeout: postTime}).DialContext, IdleConnTimeout: time.Minute, Proxy: http.ProxyFromEnvironment},
		Timeout:   postTime,
	}}, nil
}

// Start implements otlptrace.Client.
func (c *client) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client.
func (c *client) Stop(context.Context) error {
	c.http.CloseIdleConnections()
	return nil
}

// UploadTraces implements otlptrace.Client.
func (c *client) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	// On the wire, TracesData is what the protocol's request is; that has a package with gRPC around it.
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return fmt.Errorf("encode spans: %w", err)
	}
	wait := firstWait
	for try := 1; ; try++ {
		again, err := c.post(ctx, body)
		if err == nil || !again || try == tries {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
			wait *= 2
		}
	}
}

// post reports whether another try may do better.
func (c *client) post(ctx context.Context, body []byte) (again bool, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return false, fmt.Errorf("post spans: %w", err)
	}
	for name, value := range c.headers {
		r.Header.Set(name, value)
	}
	r.Header.Set("Content-Type", "application/x-protobuf")
	answer, err := c.http.Do(r)
	if err != nil {
		return true, fmt.Errorf("post spans: %w", err)
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, 64<<10) // for the connection's sake
	switch answer.StatusCode {
	case http.StatusOK:
		return false, nil
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		again = true
	}
	return again, fmt.Errorf("post spans: the collector answers %d", answer.StatusCode)
}
