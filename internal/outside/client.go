package outside

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

const (
	maxAnswer  = 4 << 10  // bytes of a body that are read
	maxHeaders = 16 << 10 // bytes of an answer's headers
	agent      = "mp3converter-webhook/1"
)

// Config is what a Client needs. All may be left empty.
type Config struct {
	// Allow are the networks whose addresses may be called although they are not public, on any port and without TLS.
	Allow []netip.Prefix
	// Timeout is the patience with one request, from looking up the name to the end of the answer; 0 is 15 s.
	Timeout time.Duration
	// RootCAs sign the certificates that are believed; nil are the system's.
	RootCAs *x509.CertPool
	// Resolver looks up names; nil is Go's.
	Resolver *net.Resolver
}

// Client sends. It is safe for parallel use.
type Client struct {
	guard         guard
	timeout       time.Duration
	plain, secure *http.Client
}

// New returns a client.
func New(cfg Config) *Client {
	c := &Client{guard: guard{cfg.Allow}, timeout: cfg.Timeout}
	if c.timeout <= 0 {
		c.timeout = 15 * time.Second
	}
	c.plain, c.secure = c.client(cfg, false), c.client(cfg, true)
	return c
}

func (c *Client) client(cfg Config, secure bool) *http.Client {
	dialer := &net.Dialer{Resolver: cfg.Resolver, Control: c.guard.control(secure)}
	return &http.Client{
		Transport: &http.Transport{ // no Proxy: it would be dialled instead
			DialContext:            dialer.DialContext,
			DisableKeepAlives:      true, // each request is to an address that was judged for it
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxHeaders,
			TLSClientConfig:        &tls.Config{RootCAs: cfg.RootCAs, MinVersion: tls.VersionTLS12},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Post sends the body and returns the status of the answer. An error is for whoever has chosen the address: it says in a few
// words what was wrong, and nothing of what there is inside.
func (c *Client) Post(ctx context.Context, url string, header http.Header, body string) (status int, err error) {
	if err := c.CheckURL(url); err != nil {
		return 0, err // the settings have changed
	}
	bounded, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(bounded, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0, errors.New("url is malformed")
	}
	req.Header = header.Clone()
	req.Header.Set("User-Agent", agent)
	client := c.plain
	if req.URL.Scheme == "https" {
		client = c.secure
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, plainly(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer)) // of a receiver that is not yet done, for its sake
	return resp.StatusCode, nil
}

// plainly says what has happened without addresses and names.
func plainly(err error) error {
	var (
		unknown *net.DNSError
		invalid *tls.CertificateVerificationError
		network *net.OpError
	)
	switch {
	case errors.Is(err, errRefused), errors.As(err, &unknown): // one answer for both, or names inside could be guessed
		return errors.New("the host has no public address")
	case errors.Is(err, errPlace): // CheckURL lets names pass where the operators allow networks
		return errors.New("url must be https on port 443, as the host has a public address")
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("no answer in time")
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.As(err, &invalid):
		return errors.New("its certificate is not valid for the host")
	case errors.As(err, &network) && network.Op == "dial":
		return errors.New("no connection")
	default:
		return errors.New("the connection broke off before an answer")
	}
}
