package web

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

func TestTheClientIsWhomTrustedProxiesName(t *testing.T) {
	const proxy, other, client = "10.1.2.3:4567", "203.0.113.9:4567", "198.51.100.7"
	for name, tt := range map[string]struct {
		from      string
		forwarded []string
		want      string
	}{
		"nobody between":                  {other, nil, "203.0.113.9"},
		"a header of the client's":        {other, []string{client}, "203.0.113.9"},
		"a proxy":                         {proxy, []string{client}, client},
		"a proxy that says nothing":       {proxy, nil, "10.1.2.3"},
		"two proxies":                     {proxy, []string{client + ", 10.9.9.9"}, client},
		"two proxies, a line each":        {proxy, []string{client, "10.9.9.9"}, client},
		"a client that lies":              {proxy, []string{"127.0.0.1, 1.1.1.1, " + client}, client},
		"a client that lies in lines":     {proxy, []string{"1.1.1.1", client}, client},
		"a client that claims to be one":  {proxy, []string{"10.0.0.1, " + client + ", 10.9.9.9"}, client},
		"a client inside":                 {proxy, []string{"10.7.7.7"}, "10.7.7.7"},
		"no address":                      {proxy, []string{"unknown"}, "10.1.2.3"},
		"no address before another proxy": {proxy, []string{client + ", x, 10.9.9.9"}, "10.9.9.9"},
		"nothing after the comma":         {proxy, []string{client + ","}, "10.1.2.3"},
		"with a port":                     {proxy, []string{client + ":1234"}, client},
		"IPv6":                            {"[fd00::1]:1", []string{"2001:db8::7"}, "2001:db8::7"},
		"IPv6 in brackets, with a port":   {"[fd00::1]:1", []string{"[2001:db8::7]:1"}, "2001:db8::7"},
		"IPv4 inside IPv6":                {"[::ffff:10.1.2.3]:1", []string{"::ffff:" + client}, client},
		"a zone":                          {proxy, []string{"fe80::1%eth0"}, "fe80::1"},
		"no connection":                   {"@", []string{client}, "invalid IP"},
	} {
		t.Run(name, func(t *testing.T) {
			var got netip.Addr
			h := Behind([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")})(
				http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = Client(r) }))
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			r.RemoteAddr, r.Header["X-Forwarded-For"] = tt.from, tt.forwarded
			for _, name := range []string{"X-Real-Ip", "Forwarded", "X-Client-Ip", "True-Client-Ip"} {
				r.Header.Set(name, "9.9.9.9")
			}
			h.ServeHTTP(httptest.NewRecorder(), r)
			if got.String() != tt.want {
				t.Errorf("client = %v, want %s", got, tt.want)
			}
		})
	}
}

func TestWhetherTheClientCameByTLSIsForTrustedProxiesToSay(t *testing.T) {
	const proxy, other = "10.1.2.3:4567", "203.0.113.9:4567"
	for name, tt := range map[string]struct {
		from  string
		proto []string
		want  bool
	}{
		"a proxy, by TLS":                    {proxy, []string{"https"}, true},
		"a proxy, in capitals":               {proxy, []string{"HTTPS"}, true},
		"a proxy, not by TLS":                {proxy, []string{"http"}, false},
		"a proxy that says nothing":          {proxy, nil, false},
		"a client that lies to the proxy":    {proxy, []string{"https, http"}, false},
		"a client that lies, on two lines":   {proxy, []string{"https", "http"}, false},
		"the nearest proxy's word":           {proxy, []string{"http, https"}, true},
		"something else":                     {proxy, []string{"httpsx"}, false},
		"a client that says so of itself":    {other, []string{"https"}, false},
		"a client at an address of no form":  {"@", []string{"https"}, false},
		"a client with what a proxy may say": {other, []string{"https", "https"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var got bool
			h := Behind([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})(
				http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = ByTLS(r) }))
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			r.RemoteAddr, r.Header["X-Forwarded-Proto"] = tt.from, tt.proto
			for name, value := range map[string]string{"X-Forwarded-Ssl": "on", "X-Forwarded-Scheme": "https", "Front-End-Https": "on", "Forwarded": "proto=https"} {
				r.Header.Set(name, value)
			}
			h.ServeHTTP(httptest.NewRecorder(), r)
			if got != tt.want {
				t.Errorf("by TLS = %v, want %v", got, tt.want)
			}
		})
	}
	direct := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://example.com/", nil)
	if !ByTLS(direct) {
		t.Error("a connection that is TLS itself is not by TLS")
	}
}

func TestWithoutTrustedProxiesNobodyNamesTheClient(t *testing.T) {
	var got netip.Addr
	h := Behind(nil)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = Client(r) }))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.RemoteAddr = "127.0.0.1:1"
	r.Header.Set("X-Forwarded-For", "198.51.100.7")
	h.ServeHTTP(httptest.NewRecorder(), r)
	if got.String() != "127.0.0.1" {
		t.Errorf("client = %v, want the connection's", got)
	}
}
