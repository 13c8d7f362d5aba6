package attacks

import (
	"net/http"
	"strings"

	"mp3converter/internal/testsuite"
)

// The suite's webhooks may lead to public addresses, and to receivers of ours. Whatever else it can reach nobody may call.
var webhooks = []row{
	{number: 75, attack: "a webhook to a private address, in every spelling, and by names for one", expected: "400, or a delivery that says no more than that the host is not public; no call", try: func(p *probe) {
		addr, calls := p.listener()
		_, port, _ := strings.Cut(addr, ":")
		for _, host := range []string{
			"127.0.0.1", "127.0.0.53", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255",
			"[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b::10.0.0.1]", "[2002:7f00:1::]",
			"[2001:0:7f00:1::]", "[fe80::1]", "[fe80::1%25lo]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]",
		} {
			for _, scheme := range []string{"http", "https"} {
				_, got := p.mine(testsuite.HookRequest(scheme + "://" + host + ":" + port + "/"))
				p.is(scheme+" "+host, got, "400 url must begin with https://", "400 url must have port 443, or none")
			}
			_, got := p.mine(testsuite.HookRequest("https://" + host + "/"))
			p.is(host, got, "400 url must lead to a public address")
		}
		for _, host := range []string{"localhost", "LOCALHOST", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.0.0.1.", "mongodb", "localhost.localdomain"} {
			p.unreachable("http://" + host + ":" + port + "/")
		}
		for _, url := range []string{"https://a@127.0.0.1/", "https://example.com@127.0.0.1/", "file:///etc/passwd", "gopher://127.0.0.1/", "https://127.0.0.1\\@example.com/", "//127.0.0.1/", "https://"} {
			_, got := p.mine(testsuite.HookRequest(url))
			p.is(url, got, "400 url must be without user and password", "400 url must be a whole address, as https://example.com/path", "400 url must begin with https://")
		}
		if n := calls.Load(); n != 0 {
			p.Errorf("%d calls came", n)
		}
	}},
	{number: 76, attack: "a webhook to a name that is bound anew", expected: "the address that is dialled is judged, each time", elsewhere: []string{
		"internal/outside TestANameIsJudgedByWhereItLeadsNow", "internal/outside TestNoSpellingOfAPrivateAddressIsCalled",
	}},
	{number: 77, attack: "a webhook that redirects to a private address", expected: "not followed: the delivery has failed with its status", try: func(p *probe) {
		addr, calls := p.listener()
		for _, status := range []int{301, 302, 307, 308} {
			r := testsuite.NewReceiver(p, func(int) int { return status })
			r.Elsewhere = "http://" + addr + "/"
			h := p.me.AddHook(p, r.URL)
			d := p.tested(h)
			if d.Status == nil || *d.Status != status || d.State != "pending" {
				p.Errorf("of a redirect by %d: %+v", status, d)
			}
			p.forget(h)
		}
		p.see("pending, by its status")
		if n := calls.Load(); n != 0 {
			p.Errorf("%d were followed", n)
		}
	}},
	{number: 78, attack: "a webhook that answers without end, with giant headers, slowly, never", expected: "4 KiB are read, 16 KiB of headers, 15 s; others are not held up", elsewhere: []string{
		"internal/outside TestAnAnswerIsReadAsFarAsItIsOfUse", "internal/outside TestWhoIsSlowIsLeft", "internal/courier TestADeadEndpointHoldsUpNobodyElse",
	}},
	{number: 79, attack: "another's webhook: list, log, test, replay, delete", expected: "404, as an unknown one; nothing is sent", try: func(p *probe) {
		owner := p.user() // whose jobs no other row touches
		receiver := testsuite.NewReceiver(p, nil)
		h := owner.AddHook(p, receiver.URL)
		id := owner.Deliveries(p, h)
		if len(id) > 0 {
			p.Errorf("a new webhook's log: %+v", id)
		}
		for _, hook := range []string{h.ID, unknown, "x", "$ne"} {
			for _, r := range []testsuite.Request{
				{Method: http.MethodDelete, Path: "/webhooks/" + hook}, {Path: "/webhooks/" + hook + "/deliveries"},
				{Method: http.MethodPost, Path: "/webhooks/" + hook + "/test"},
				{Method: http.MethodPost, Path: "/webhooks/" + hook + "/deliveries/" + unknown + "/replay"},
			} {
				_, got := p.mine(r)
				p.is(r.Method+" "+r.Path, got, "404 no such webhook")
			}
		}
		if a, _ := p.mine(testsuite.Request{Path: "/webhooks?owner=" + owner.Email}); a.Body != `{"webhooks":[]}` {
			p.Errorf("the list is %s", a.Body)
		}
		if n := len(receiver.Got(h.Secret)); n != 0 {
			p.Errorf("%d calls came", n)
		}
		owner.Do(p, testsuite.Request{Method: http.MethodDelete, Path: "/webhooks/" + h.ID})
	}},
}

// tested has a ping sent to the prober's webhook, and returns what the log says of the first try.
func (p *probe) tested(h testsuite.Hook) (d testsuite.Delivery) {
	p.Helper()
	p.mine(testsuite.Request{Method: http.MethodPost, Path: "/webhooks/" + h.ID + "/test"})
	testsuite.Eventually(p, "a try", func() bool {
		log := p.me.Deliveries(p, h)
		if len(log) > 0 {
			d = log[0]
		}
		return d.Attempts > 0
	})
	return d
}

func (p *probe) forget(h testsuite.Hook) {
	p.Helper()
	_, got := p.mine(testsuite.Request{Method: http.MethodDelete, Path: "/webhooks/" + h.ID})
	p.is("DELETE", got, "204")
}

// unreachable fails the row unless the URL is taken, since nobody knows where its name leads, and cannot be called.
func (p *probe) unreachable(url string) {
	p.Helper()
	h := p.me.AddHook(p, url)
	d := p.tested(h)
	if testsuite.OrEmpty(d.Error) != "the host has no public address" {
		p.Errorf("%s: %q, %+v", url, testsuite.OrEmpty(d.Error), d)
	}
	p.see("the host has no public address")
	p.forget(h)
}
