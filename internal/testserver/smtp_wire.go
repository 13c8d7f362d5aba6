package testserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// eavesdropper hands out connections that note what clients send, and that are as slow as the server is told to be.
type eavesdropper struct {
	net.Listener
	server *SMTP
}

func (l *eavesdropper) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.server.mu.Lock()
	defer l.server.mu.Unlock()
	l.server.dials++
	return &wire{Conn: c, server: l.server}, nil
}

// wire is one connection below TLS.
type wire struct {
	net.Conn
	server *SMTP
	greet  sync.Once
}

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.server.mu.Lock()
	defer w.server.mu.Unlock()
	w.server.clear = append(w.server.clear, p[:n]...)
	return n, err
}

func (w *wire) Write(p []byte) (int, error) {
	var refused error
	if !w.server.options.Implicit {
		w.greet.Do(func() { refused = w.server.play(AtGreeting, w.Conn) })
	}
	if refused != nil {
		var answer *smtp.SMTPError
		if errors.As(refused, &answer) {
			_, _ = fmt.Fprintf(w.Conn, "%d %s\r\n", answer.Code, answer.Message)
		}
		_ = w.Close()
		return 0, refused
	}
	w.server.mu.Lock()
	apart := w.server.drip
	w.server.mu.Unlock()
	if apart == 0 {
		return w.Conn.Write(p)
	}
	return w.dripping(p, apart)
}

func (w *wire) dripping(p []byte, apart time.Duration) (int, error) {
	for i := range p {
		select {
		case <-time.After(apart):
		case <-w.server.closing:
			return i, net.ErrClosed
		}
		if _, err := w.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

// certify makes an authority of the server's own and the certificate it vouches for.
func (s *SMTP) certify(tb testing.TB) tls.Certificate {
	tb.Helper()
	now := time.Now()
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mp3converter test CA"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "mail.test"},
		NotBefore: authority.NotBefore, NotAfter: authority.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	if s.options.CertFor != "" {
		leaf.DNSNames, leaf.IPAddresses = []string{s.options.CertFor}, nil
	}
	caKey, key := newKey(tb), newKey(tb)
	caDER := sign(tb, authority, authority, caKey, caKey)
	leafDER := sign(tb, leaf, authority, key, caKey)

	caPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER})
	s.CA, s.CAFile = x509.NewCertPool(), filepath.Join(tb.TempDir(), "ca.pem")
	s.CA.AppendCertsFromPEM(caPEM)
	if err := os.WriteFile(s.CAFile, caPEM, 0o600); err != nil {
		tb.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: key}
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func sign(tb testing.TB, cert, by *x509.Certificate, key, byKey *ecdsa.PrivateKey) []byte {
	tb.Helper()
	der, err := x509.CreateCertificate(rand.Reader, cert, by, &key.PublicKey, byKey)
	if err != nil {
		tb.Fatal(err)
	}
	return der
}

// Mail is what a reader of a received mail sees.
type Mail struct {
	Header  mail.Header
	Subject string
	Body    string // the text, decoded, lines end in \n
	HTML    string // the alternative to it, likewise; "" if there is none
}

// ReadMail decodes a received mail as a reader's program does. Of alternatives it takes two, the text first, and of parts no
// other kind.
func ReadMail(tb testing.TB, r Received) Mail {
	tb.Helper()
	msg, err := mail.ReadMessage(strings.NewReader(r.Data))
	if err != nil {
		tb.Fatalf("read mail: %v:\n%s", err, r.Data)
	}
	m := Mail{Header: msg.Header}
	if m.Subject, err = new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject")); err != nil {
		tb.Fatalf("decode subject: %v:\n%s", err, r.Data)
	}
	media, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		tb.Fatalf("media type of the mail: %v:\n%s", err, r.Data)
	}
	if media != "multipart/alternative" {
		m.Body = decoded(tb, textproto.MIMEHeader(msg.Header), msg.Body, "text/plain")
		return m
	}
	parts := multipart.NewReader(msg.Body, params["boundary"])
	for i, want := range []string{"text/plain", "text/html"} {
		part, err := parts.NextRawPart()
		if err != nil {
			tb.Fatalf("part %d of the mail: %v:\n%s", i+1, err, r.Data)
		}
		m.Body, m.HTML = m.HTML, decoded(tb, part.Header, part, want)
	}
	if _, err := parts.NextRawPart(); !errors.Is(err, io.EOF) {
		tb.Fatalf("after two alternatives: %v, want the end:\n%s", err, r.Data)
	}
	return m
}

// decoded is the text of a part.
func decoded(tb testing.TB, header textproto.MIMEHeader, body io.Reader, want string) string {
	tb.Helper()
	media, params, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil || media != want || !strings.EqualFold(params["charset"], "utf-8") {
		tb.Fatalf("media type %q (%v), want %s in UTF-8", header.Get("Content-Type"), err, want)
	}
	if header.Get("Content-Transfer-Encoding") == "quoted-printable" {
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		tb.Fatalf("decode %s: %v", want, err)
	}
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}
