package auth

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mp3converter/internal/user"
	"mp3converter/internal/web"
)

// What strangers send to a server with every service's limits; numbers are rows of security.md B5. Tokens that are forged,
// rows 1 to 12, are in package token. Passwords are rightly hashed here.
func TestAttacks(t *testing.T) {
	const long, nfc, nfd = "a password of 64 bytes and more, of which the last ones count too: 1", "pässwörd", "pa\u0308sswo\u0308rd"
	users := newMemory(
		user.User{Email: ann, Password: Hash(long), Admin: true}, user.User{Email: bob, Password: Hash(nfc), Admin: true},
	)
	s := newService(t, users)
	server := httptest.NewUnstartedServer(nil)
	server.Config = web.NewServer(s, slog.New(slog.DiscardHandler))
	server.Start()
	t.Cleanup(server.Close)
	good := tokenWith(t, s, ann, long)
	dots := strings.Repeat(".", 1<<20)
	deep := base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat(`{"a":`, 10_000)))

	for name, tt := range map[string]struct {
		request string
		headers []string
		want    string // the status; the body, if any, after it
	}{
		"13: a megabyte of dots":               {"POST /validate", []string{"Authorization: Bearer " + dots}, "431"},
		"13: a header of JSON 10k deep":        {"POST /validate", []string{"Authorization: Bearer " + deep + "." + deep + ".x"}, "431"},
		"13: as deep as a header may be":       {"POST /validate", []string{"Authorization: Bearer " + deep[:8000] + "." + deep[:4000] + ".x"}, "403 not authorized"},
		"16: two headers":                      {"POST /validate", []string{"Authorization: Bearer " + good, "Authorization: Bearer " + good}, "403 not authorized"},
		"16: two, the first empty":             {"POST /validate", []string{"Authorization:", "Authorization: Bearer " + good}, "403 not authorized"},
		"16: two spaces":                       {"POST /validate", []string{"Authorization: Bearer  " + good}, "403 not authorized"},
		"16: a tab":                            {"POST /validate", []string{"Authorization: Bearer\t" + good}, "403 not authorized"},
		"16: a scheme in lower case":           {"POST /validate", []string{"Authorization: bearer " + good}, "403 not authorized"},
		"16: no space":                         {"POST /validate", []string{"Authorization: Bearer" + good}, "403 not authorized"},
		"16: a NUL":                            {"POST /validate", []string{"Authorization: Bearer \x00" + good}, "400"},
		"17: a token in a cookie":              {"POST /validate", []string{"Cookie: token=" + good + "; Authorization=Bearer " + good}, "401 missing credentials"},
		"17: a token in the query":             {"POST /validate?token=" + good + "&access_token=" + good, nil, "401 missing credentials"},
		"17: a token in another header":        {"POST /validate", []string{"X-Authorization: Bearer " + good}, "401 missing credentials"},
		"18: a token that works, for contrast": {"POST /validate", []string{"Authorization: Bearer " + good}, "200"},
		"22: a password of a megabyte":         {"POST /login", []string{basicOf(ann, strings.Repeat("x", 1<<20))}, "431"},
		"22: one of 10 KB":                     {"POST /login", []string{basicOf(ann, strings.Repeat("x", 10<<10))}, "401 invalid credentials"},
		"22: one with another last byte":       {"POST /login", []string{basicOf(ann, long[:len(long)-1]+"2")}, "401 invalid credentials"},
		"22: one cut to 64 bytes":              {"POST /login", []string{basicOf(ann, long[:64])}, "401 invalid credentials"},
		"22: a NUL and more after it":          {"POST /login", []string{basicOf(ann, long+"\x00x")}, "401 invalid credentials"},
		"22: the whole":                        {"POST /login", []string{basicOf(ann, long)}, "200"},
		"22: composed letters, as stored":      {"POST /login", []string{basicOf(bob, nfc)}, "200"},
		"22: the same ones in pieces":          {"POST /login", []string{basicOf(bob, nfd)}, "401 invalid credentials"},
		"23: a user name of 64 KB":             {"POST /login", []string{basicOf(strings.Repeat("x", 64<<10), "x")}, "431"},
		"23: one of 8 KB":                      {"POST /login", []string{basicOf(strings.Repeat("x", 8<<10)+"@b.c", "x")}, "401 invalid credentials"},
		"23: no colon":                         {"POST /login", []string{"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(ann))}, "401 invalid credentials"},
		"23: bad base64":                       {"POST /login", []string{"Authorization: Basic =%"}, "401 invalid credentials"},
		"62: a line end and a header":          {"POST /login", []string{basicOf("a@b\r\nBcc: x@y", "x")}, "401 invalid credentials"},
		"62: the same, escaped":                {"POST /login", []string{basicOf("a@b%0d%0aBcc: x@y", "x")}, "401 invalid credentials"},
		"62: a Unicode line separator":         {"POST /login", []string{basicOf("a@b\u2028", "x")}, "401 invalid credentials"},
		"62: two addresses":                    {"POST /login", []string{basicOf("a@b,c@d", "x")}, "401 invalid credentials"},
		"62: a name and brackets":              {"POST /login", []string{basicOf("Ann <"+ann+">", long)}, "401 invalid credentials"},
		"62: a local part of 10 KB":            {"POST /login", []string{basicOf(strings.Repeat("x", 8<<10)+"@b.c", "x")}, "401 invalid credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := raw(t, server.Listener.Addr().String(), tt.request, tt.headers)
			got := fmt.Sprint(status)
			if strings.Contains(tt.want, " ") {
				got += " " + body
			}
			if got != tt.want {
				t.Errorf("answer = %d %.200q, want %s", status, body, tt.want)
			}
		})
	}
	if status, _ := raw(t, server.Listener.Addr().String(), "POST /validate", []string{"Authorization: Bearer " + good}); status != http.StatusOK {
		t.Errorf("a good token after all that = %d", status)
	}
}

func basicOf(email, password string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(email+":"+password))
}

func tokenWith(t *testing.T, s http.Handler, email, password string) string {
	t.Helper()
	w := login(t, s, email, password)
	wantAnswer(t, w, http.StatusOK, "")
	return w.Body.String()
}

// raw sends what no client would and returns the answer.
func raw(t *testing.T, addr, request string, headers []string) (status int, body string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	go func() { // the server may answer and close before it has read all
		fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: auth\r\nConnection: close\r\n%s\r\n\r\n", request, strings.Join(append(headers, "Content-Length: 0"), "\r\n"))
	}()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text := make([]byte, 1<<10)
	n, _ := resp.Body.Read(text)
	return resp.StatusCode, string(text[:n])
}
