package e2e

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"mp3converter/internal/testmedia"
	"mp3converter/internal/testsuite"
)

// around is what users have beside the main job, as far as the Ingress, the cluster's network or the manifests could spoil it.
func around(t *testing.T, c *cluster) {
	t.Run("a link needs no login", c.link)
	t.Run("a browser has the page", c.page)
	t.Run("operators are whom OPERATORS names", c.operators)
	t.Run("an upload comes in two parts", c.parts)
	t.Run("a webhook leads nowhere inside", c.webhook)
	c.settles(t)
}

var signed = regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(host) + `(/download\?\S*&signature=\S+)$`)

// bearer is the main job's user.
func (c *cluster) bearer() string { return "Bearer " + c.main.token }

// link follows the one in the main job's mail, and one that differs from it.
func (c *cluster) link(t *testing.T) {
	found := signed.FindStringSubmatch(c.main.mail)
	if found == nil {
		t.Fatalf("no link in %q", c.main.mail)
	}
	c.send(t, testsuite.Request{Base: host, Path: found[1]}).Is(t, http.StatusOK, string(c.main.mp3))
	c.send(t, testsuite.Request{Base: host, Path: strings.Replace(found[1], "&expires=", "&expires=1", 1)}).
		Is(t, http.StatusForbidden, "this link is not valid: copy all of it from the mail, or log in")
	c.say(t, "the mail's link: the MP3; with a later end: 403")
}

var ofPage = regexp.MustCompile(`(?:href|src)="(/static/[^"]+)"`)

// page logs in by the form, as a browser does, and looks at the page and its files.
func (c *cluster) page(t *testing.T) {
	a := c.send(t, testsuite.Request{
		Base: host, Method: http.MethodPost, Path: "/session", Body: strings.NewReader(url.Values{"email": {user}, "password": {password}}.Encode()),
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"text/html"}, "Origin": {host}, "Sec-Fetch-Site": {"same-origin"}},
	})
	cookie, _, _ := strings.Cut(a.Header.Get("Set-Cookie"), ";")
	if a.Status != http.StatusSeeOther || !strings.HasPrefix(cookie, "session=") {
		t.Fatalf("the form is answered %d %v %.300q", a.Status, a.Header, a.Body)
	}
	a = c.send(t, testsuite.Request{Base: host, Path: "/", Header: http.Header{"Cookie": {cookie}}})
	policy := a.Header.Get("Content-Security-Policy")
	if a.Status != http.StatusOK || !strings.HasPrefix(policy, "default-src 'none'; script-src 'self';") || !strings.Contains(a.Body, c.main.fid) {
		t.Fatalf("/ is answered %d, Content-Security-Policy %q, %.300q", a.Status, policy, a.Body)
	}
	files := ofPage.FindAllStringSubmatch(a.Body, -1)
	if len(files) < 2 {
		t.Errorf("the page names the files %q, want a style and scripts", files)
	}
	for _, file := range files {
		if a := c.send(t, testsuite.Request{Base: host, Path: file[1]}); a.Status != http.StatusOK || a.Body == "" {
			t.Errorf("%s is answered %d, %d bytes", file[1], a.Status, len(a.Body))
		}
	}
	c.say(t, "the page, with its policy and %d files", len(files))
}

func (c *cluster) operators(t *testing.T) {
	other := newPerson(t)
	login := testsuite.Request{Base: host, Method: http.MethodPost, Path: "/login", Auth: testsuite.Basic(other.email, testsuite.Password)}
	other.token = c.send(t, login).Body
	c.send(t, testsuite.Request{Base: host, Path: "/admin", Auth: other.bearer()}).
		Is(t, http.StatusForbidden, "for this service's operators only")
	a := c.send(t, testsuite.Request{Base: host, Path: "/admin", Auth: c.bearer(), Header: http.Header{"Accept": {"application/json"}}})
	var seen struct{ Queues []struct{ Name string } }
	if a.Into(t, &seen); a.Status != http.StatusOK || len(seen.Queues) < 2 {
		t.Errorf("/admin is answered %d %.300q to %s", a.Status, a.Body, user)
	}
	c.say(t, "/admin: 200 to %s, 403 to another user", user)
}

// parts uploads as tus has it: each part to whatever gateway it gets to, which knows what another has taken.
func (c *cluster) parts(t *testing.T) {
	v := testsuite.VideoOf(t, testmedia.Clip(t, testmedia.Spec{}), "parts.mp4")
	tus := func(method, path string, status int, part []byte, header http.Header) http.Header {
		t.Helper()
		header["Tus-Resumable"] = []string{"1.0.0"}
		header["Content-Type"] = []string{"application/offset+octet-stream"}
		a := c.send(t, testsuite.Request{Base: host, Method: method, Path: path, Auth: c.bearer(), Header: header, Body: bytes.NewReader(part)})
		if a.Status != status {
			t.Fatalf("%s %s is answered %d %q, want %d", method, path, a.Status, a.Body, status)
		}
		return a.Header
	}
	path := tus(http.MethodPost, "/uploads/", http.StatusCreated, nil, http.Header{
		"Upload-Length":   {strconv.Itoa(len(v.Data))},
		"Upload-Metadata": {"filename " + base64.StdEncoding.EncodeToString([]byte(v.Name))},
	}).Get("Location")
	half := len(v.Data) / 2
	tus(http.MethodPatch, path, http.StatusNoContent, v.Data[:half], http.Header{"Upload-Offset": {"0"}})
	offset := tus(http.MethodHead, path, http.StatusOK, nil, http.Header{}).Get("Upload-Offset")
	if offset != strconv.Itoa(half) {
		t.Errorf("after %d bytes the upload has %q", half, offset)
	}
	tus(http.MethodPatch, path, http.StatusNoContent, v.Data[half:], http.Header{"Upload-Offset": {offset}})
	sent := v.Sent(user, "")
	sent.Status, sent.Job = http.StatusOK, strings.TrimPrefix(path, "/uploads/") // as if by /upload
	c.history.Told(sent)
	c.say(t, "job %s: %d bytes in two parts", sent.Job, len(v.Data))
}

// inside is an address that every cluster has, and no user's business.
const inside = "https://kubernetes.default.svc/"

// webhook makes some that lead inside, which a name may, for nobody knows yet where; called is what it leads to only when the
// operators allow it. What receivers get is told by tests that have some.
func (c *cluster) webhook(t *testing.T) {
	const refused = "the host has no public address"
	said := c.ping(t)
	if said != refused {
		t.Errorf("of %s: %q, want %q", inside, said, refused)
	}
	kubectl(t, "set", "env", "deployment/notification", "WEBHOOK_ALLOW=10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7")
	c.allReady(t)
	allowed := c.ping(t)
	if allowed == refused { // else it is what the network or the certificate says
		t.Errorf("of %s, allowed: %q", inside, allowed)
	}
	kubectl(t, "set", "env", "deployment/notification", "WEBHOOK_ALLOW-")
	c.allReady(t)
	c.say(t, "a webhook to %s: %q; with WEBHOOK_ALLOW: %q", inside, said, allowed)
}

// ping makes a webhook, has it tried, and returns what its owner is told: why that failed, or else the state.
func (c *cluster) ping(t *testing.T) (said string) {
	t.Helper()
	ask := func(method, path string, status int, answer any) {
		t.Helper()
		a := c.send(t, testsuite.Request{Base: host, Method: method, Path: path, Auth: c.bearer()})
		if a.Status != status {
			t.Fatalf("%s %s is answered %d %q", method, path, a.Status, a.Body)
		}
		if answer != nil {
			a.Into(t, answer)
		}
	}
	r := testsuite.HookRequest(inside)
	r.Base, r.Auth = host, c.bearer()
	var hook testsuite.Hook
	a := c.send(t, r)
	if a.Into(t, &hook); a.Status != http.StatusCreated || !strings.HasPrefix(hook.Secret, "whsec_") {
		t.Fatalf("POST /webhooks is answered %d %q", a.Status, a.Body)
	}
	path := "/webhooks/" + hook.ID
	ask(http.MethodPost, path+"/test", http.StatusAccepted, nil)
	said = testsuite.Awaited(t, "a try of the webhook", func() (string, bool) {
		var log struct{ Deliveries []testsuite.Delivery }
		ask(http.MethodGet, path+"/deliveries", http.StatusOK, &log)
		for _, d := range log.Deliveries {
			if d.Attempts > 0 {
				return cmp.Or(testsuite.OrEmpty(d.Error), d.State), true
			}
		}
		return "", false
	})
	ask(http.MethodDelete, path, http.StatusNoContent, nil)
	return said
}
