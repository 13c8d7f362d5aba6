package auth_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mp3converter/internal/auth"
	"mp3converter/internal/mysql"
	"mp3converter/internal/testserver"
	"mp3converter/internal/token"
	"mp3converter/internal/user"
)

func TestMain(m *testing.M) { testserver.Main(m) }

const secret = "0123456789abcdef0123456789abcdef"

func TestEveryRowOfTheContract(t *testing.T) {
	url, _ := start(t, testserver.MySQL(t), patient)
	good := login(t, url, "sid@gmail.com", "sid123").body
	flipped := good[:len(good)-2] + string(good[len(good)-2]^1) + good[len(good)-1:]
	expired := sign(t, secret, token.Claims{Username: "sid@gmail.com", Admin: true, Exp: time.Now().Unix()})
	foreign := sign(t, strings.Repeat("x", 32), token.Claims{Username: "sid@gmail.com", Admin: true, Exp: time.Now().Unix() + 60})
	missing, refused, forbidden := "401 missing credentials", "401 invalid credentials", "403 not authorized"

	for name, tt := range map[string]struct {
		request string
		headers []string // values of Authorization
		want    string
	}{
		"login without Authorization":     {"POST /login", nil, missing},
		"login with an empty one":         {"POST /login", []string{""}, missing},
		"login, unknown e-mail":           {"POST /login", basic("eve@gmail.com:sid123"), refused},
		"login, wrong password":           {"POST /login", basic("sid@gmail.com:sid1234"), refused},
		"login, no password":              {"POST /login", basic("sid@gmail.com:"), refused},
		"login, no colon":                 {"POST /login", basic("sid@gmail.com"), refused},
		"login, nothing":                  {"POST /login", basic(""), refused},
		"login, other case":               {"POST /login", basic("Sid@gmail.com:sid123"), refused},
		"login, space after the e-mail":   {"POST /login", basic("sid@gmail.com :sid123"), refused},
		"login, quotes":                   {"POST /login", basic("' OR 1=1 -- @gmail.com:x"), refused},
		"login, wildcard":                 {"POST /login", basic("sid@gmail%:sid123"), refused},
		"login, no e-mail":                {"POST /login", basic("sid:sid123"), refused},
		"login, e-mail with a line end":   {"POST /login", basic("sid@gmail.com\r\nBcc: x@y:sid123"), refused},
		"login, no UTF-8":                 {"POST /login", basic("\xff@gmail.com:\xfe"), refused},
		"login, NUL bytes":                {"POST /login", basic("sid@gmail.com\x00:sid123\x00"), refused},
		"login, NUL after the password":   {"POST /login", basic("sid@gmail.com:sid123\x00"), refused},
		"login, password of 1025 bytes":   {"POST /login", basic("sid@gmail.com:" + strings.Repeat("x", 1025)), refused},
		"login, e-mail of 8 KB":           {"POST /login", basic(strings.Repeat("x", 8<<10) + "@gmail.com:x"), refused},
		"login, no base64":                {"POST /login", []string{"Basic !!!"}, refused},
		"login, scheme alone":             {"POST /login", []string{"Basic"}, refused},
		"login, other scheme":             {"POST /login", []string{"Bearer " + good}, refused},
		"login, two headers":              {"POST /login", append(basic("sid@gmail.com:sid123"), basic("sid@gmail.com:sid123")...), refused},
		"validate without Authorization":  {"POST /validate", nil, missing},
		"validate with an empty one":      {"POST /validate", []string{""}, missing},
		"validate, token in the query":    {"POST /validate?token=" + good, nil, missing},
		"validate, no space":              {"POST /validate", []string{"Bearer"}, forbidden},
		"validate, bare token":            {"POST /validate", []string{good}, forbidden},
		"validate, two spaces":            {"POST /validate", []string{"Bearer  " + good}, forbidden},
		"validate, tab":                   {"POST /validate", []string{"Bearer\t" + good}, forbidden},
		"validate, lower-case scheme":     {"POST /validate", []string{"bearer " + good}, forbidden},
		"validate, other scheme":          {"POST /validate", []string{"Token " + good}, forbidden},
		"validate, something after":       {"POST /validate", []string{"Bearer " + good + " x"}, forbidden},
		"validate, basic credentials":     {"POST /validate", basic("sid@gmail.com:sid123"), forbidden},
		"validate, no token":              {"POST /validate", []string{"Bearer x"}, forbidden},
		"validate, one bit flipped":       {"POST /validate", []string{"Bearer " + flipped}, forbidden},
		"validate, expired":               {"POST /validate", []string{"Bearer " + expired}, forbidden},
		"validate, somebody else's token": {"POST /validate", []string{"Bearer " + foreign}, forbidden},
		"validate, two headers":           {"POST /validate", []string{"Bearer " + good, "Bearer " + good}, forbidden},
		"another method for login":        {"GET /login", basic("sid@gmail.com:sid123"), "405 "},
		"another method for validate":     {"PUT /validate", []string{"Bearer " + good}, "405 "},
	} {
		t.Run(name, func(t *testing.T) {
			method, path, _ := strings.Cut(tt.request, " ")
			got := do(t, method, url+path, tt.headers...)
			if s := strconv.Itoa(got.code) + " " + got.body; s != tt.want {
				t.Errorf("%s = %q, want %q", tt.request, s, tt.want)
			}
		})
	}
}

func TestAGoodTokenIsAnsweredWithItsClaims(t *testing.T) {
	url, _ := start(t, testserver.MySQL(t), patient)
	signed := login(t, url, "sid@gmail.com", "sid123")
	if signed.code != http.StatusOK || strings.Count(signed.body, ".") != 2 || strings.ContainsAny(signed.body, "\" \n") {
		t.Fatalf("login = %d %q, want the bare token", signed.code, signed.body)
	}
	got := do(t, http.MethodPost, url+"/validate", "Bearer "+signed.body)
	var claims map[string]any
	if err := json.Unmarshal([]byte(got.body), &claims); got.code != http.StatusOK || err != nil {
		t.Fatalf("validate = %d %q, %v", got.code, got.body, err)
	}
	if names := slices.Sorted(maps.Keys(claims)); !slices.Equal(names, []string{"admin", "exp", "iat", "username"}) {
		t.Errorf("validate names %q", names)
	}
	if claims["username"] != "sid@gmail.com" || claims["admin"] != true || claims["exp"].(float64)-claims["iat"].(float64) != 86400 {
		t.Errorf("claims = %v", claims)
	}
}

func TestAPlainRowOfTheOriginalLogsInOnceAndIsHashed(t *testing.T) {
	server := testserver.MySQL(t)
	script, err := testserver.InitSQL()
	if err != nil {
		t.Fatal(err)
	}
	original := `DROP DATABASE auth; CREATE DATABASE auth;
		CREATE TABLE auth.user (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, email VARCHAR(255) NOT NULL UNIQUE, password VARCHAR(255) NOT NULL);
		INSERT INTO auth.user (email, password) VALUES ('georgio@email.com', 'Admin123');`
	t.Cleanup(func() { sql(t, server, "DROP DATABASE auth;\n"+script) })
	sql(t, server, original+script)
	url, users := start(t, server, patient)

	if got := login(t, url, "georgio@email.com", "admin123"); got.code != http.StatusUnauthorized {
		t.Errorf("wrong password: %d %q", got.code, got.body)
	}
	wantStored(t, users, "Admin123")
	if got := login(t, url, "georgio@email.com", "Admin123"); got.code != http.StatusOK {
		t.Errorf("first login: %d %q", got.code, got.body)
	}
	hash := wantStored(t, users, "$argon2id$v=19$m=19456,t=2,p=1$")
	if got := login(t, url, "georgio@email.com", "Admin123"); got.code != http.StatusOK {
		t.Errorf("second login: %d %q", got.code, got.body)
	}
	wantStored(t, users, hash)
}

func TestADatabaseThatDiesIsUnavailableUntilItIsBack(t *testing.T) {
	server := testserver.MySQL(t)
	url, _ := start(t, server, patient)
	token := login(t, url, "sid@gmail.com", "sid123").body
	for range 2 {
		server.Kill()
		wantUnavailable(t, url, token)
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		if got := login(t, url, "sid@gmail.com", "sid123"); got.code != http.StatusOK {
			t.Errorf("login after it is back: %d %q", got.code, got.body)
		}
	}
}

func TestADatabaseThatHangsIsUnavailable(t *testing.T) {
	server := testserver.MySQL(t)
	url, _ := start(t, server, patient)
	token := login(t, url, "sid@gmail.com", "sid123").body
	hurried, _ := start(t, server, 200*time.Millisecond)
	login(t, hurried, "sid@gmail.com", "sid123") // leaves a connection
	thaw := server.Freeze(t)
	for range 2 { // over the connection from before, then over a new one
		wantUnavailable(t, hurried, token)
	}
	thaw()
	if got := login(t, url, "sid@gmail.com", "sid123"); got.code != http.StatusOK {
		t.Errorf("login after it goes on: %d %q", got.code, got.body)
	}
}

// wantUnavailable checks what works without a database and what does not.
func wantUnavailable(t *testing.T, url, token string) {
	t.Helper()
	for _, password := range []string{"sid123", "wrong"} {
		got := login(t, url, "sid@gmail.com", password)
		if got.code != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" || strings.Contains(got.body, "127.0.0.1") {
			t.Errorf("login = %d %q, Retry-After %q, want 503 with one and no address", got.code, got.body, got.header.Get("Retry-After"))
		}
	}
	if got := do(t, http.MethodPost, url+"/validate", "Bearer "+token); got.code != http.StatusOK {
		t.Errorf("validate = %d %q, want 200", got.code, got.body)
	}
	if got := do(t, http.MethodPost, url+"/login"); got.code != http.StatusUnauthorized {
		t.Errorf("login without credentials = %d %q, want 401", got.code, got.body)
	}
}

// patient is long enough for a machine that is busy with other tests.
const patient = time.Minute

// start serves auth over the server's user table.
func start(t *testing.T, server *testserver.MariaDB, timeout time.Duration) (url string, users *mysql.DB) {
	t.Helper()
	host, port, err := net.SplitHostPort(server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	users, err = mysql.Open(mysql.Config{Host: host, Port: n, User: testserver.MySQLUser, Password: testserver.MySQLPassword, Database: testserver.MySQLDatabase})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = users.Close() })
	key, err := token.NewKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(auth.New(auth.Config{Users: users, Failures: users, Revocations: users, Key: key, Timeout: timeout}).Routes())
	t.Cleanup(web.Close)
	return web.URL, users
}

// wantStored checks how georgio's stored password begins and returns it.
func wantStored(t *testing.T, users *mysql.DB, prefix string) string {
	t.Helper()
	var u user.User
	u, err := users.Find(context.WithoutCancel(t.Context()), "georgio@email.com")
	if err != nil || !strings.HasPrefix(u.Password, prefix) || !u.Admin {
		t.Errorf("stored = %+v, %v, want a password %s…", u, err, prefix)
	}
	return u.Password
}

type answer struct {
	code   int
	body   string
	header http.Header
}

func login(t *testing.T, url, email, password string) answer {
	t.Helper()
	return do(t, http.MethodPost, url+"/login", basic(email+":"+password)...)
}

func basic(credentials string) []string {
	return []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))}
}

func do(t *testing.T, method, url string, authorization ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header["Authorization"] = authorization
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, string(body), resp.Header}
}

func sign(t *testing.T, secret string, c token.Claims) string {
	t.Helper()
	key, err := token.NewKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := key.Sign(c)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func sql(t *testing.T, server *testserver.MariaDB, script string) {
	t.Helper()
	if _, err := server.SQL(script); err != nil {
		t.Fatal(err)
	}
}
