package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"mp3converter/internal/testmedia"
	"mp3converter/internal/testsuite"
)

// uninstall removes all but what is to be kept, and installs once more.
func uninstall(t *testing.T, c *cluster) {
	held := c.settles(t)
	kubectl(t, "delete", "-f", *manifests, "-l", "mp3converter/keep!=true")
	kinds := strings.Fields(kubectl(t, "api-resources", "--namespaced", "--verbs=list", "-o", "name"))
	kinds = slices.DeleteFunc(kinds, func(kind string) bool { return strings.HasPrefix(kind, "events") }) // they tell of it, and expire
	var left []string
	defer func() {
		if len(left) > 0 {
			t.Logf("left are %v", left)
		}
	}()
	testsuite.Eventually(t, "nothing is left but what is to be kept", func() bool {
		left = foreign(remaining(t, kinds))
		if len(left) > 0 {
			time.Sleep(time.Second)
		}
		return len(left) == 0
	})
	c.say(t, "uninstalled; left are\n  %s", strings.Join(remaining(t, kinds), "\n  "))
	c.say(t, "and the volumes\n%s", kubectl(t, "get", "persistentvolumes"))

	c.apply(t)
	var jobs struct{ Jobs []testsuite.JobView }
	folder := t.TempDir()
	token, _ := c.curl(t, folder, "-X", "POST", host+"/login", "-u", user+":"+password)
	c.send(t, testsuite.Request{Base: host, Path: "/jobs?limit=100", Auth: "Bearer " + token}).Into(t, &jobs)
	if !slices.ContainsFunc(jobs.Jobs, func(j testsuite.JobView) bool { return testsuite.OrEmpty(j.MP3) == c.main.fid && j.State == "done" }) {
		t.Errorf("the main job is not among %s's %d", user, len(jobs.Jobs))
	}
	a := c.send(t, testsuite.Request{Base: host, Path: "/download?fid=" + c.main.fid, Auth: "Bearer " + token})
	if a.Status != http.StatusOK || a.Body != string(c.main.mp3) {
		t.Errorf("the MP3 of before is answered %d, and %d bytes of %d", a.Status, len(a.Body), len(c.main.mp3))
	}
	for _, p := range c.people { // whom init.sql does not make
		r := testsuite.Request{Base: host, Method: http.MethodPost, Path: "/login", Auth: testsuite.Basic(p.email, testsuite.Password)}
		if a := c.send(t, r); a.Status != http.StatusOK {
			t.Errorf("the login of %s is answered %d %q", p.email, a.Status, a.Body)
		}
	}
	after := c.settles(t)
	if len(after.Jobs) != len(held.Jobs) {
		t.Errorf("%d jobs, before there were %d", len(after.Jobs), len(held.Jobs))
	}
	c.works(t, token)
	c.settles(t)
	c.steady(t)
}

// remaining are all objects of the namespace.
func remaining(t *testing.T, kinds []string) []string {
	t.Helper()
	return strings.Fields(kubectl(t, "get", strings.Join(kinds, ","), "-o", "name", "--ignore-not-found"))
}

// foreign leaves out what uninstalling is to leave, the passwords of make secrets to the volumes among it, and what Kubernetes
// itself puts into each namespace.
func foreign(objects []string) []string {
	return slices.DeleteFunc(slices.Clone(objects), func(name string) bool {
		kind, _, _ := strings.Cut(name, "/")
		return kind == "persistentvolumeclaim" || kind == "secret" && strings.HasSuffix(name, "-random") ||
			name == "configmap/kube-root-ca.crt" || name == "serviceaccount/default"
	})
}

// works does one more job.
func (c *cluster) works(t *testing.T, token string) {
	t.Helper()
	v := testsuite.VideoOf(t, testmedia.Clip(t, testmedia.Spec{}), "after.mp4")
	body, header := v.Form(t)
	a := c.send(t, testsuite.Request{Base: host, Method: http.MethodPost, Path: "/upload", Auth: "Bearer " + token, Header: header, Body: body})
	a.Is(t, http.StatusOK, "success!")
	sent := v.Sent(user, "")
	sent.Status, sent.Job = a.Status, testsuite.JobOf(t, a)
	c.history.Told(sent)
}
