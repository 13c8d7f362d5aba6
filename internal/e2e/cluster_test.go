package e2e

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"mp3converter/internal/checker"
	"mp3converter/internal/testsuite"
)

// cluster is the installation, and what its users have been told and sent so far.
type cluster struct {
	began   time.Time
	address string // host:port of the Ingress controller
	client  *http.Client
	history checker.History
	checker *checker.Checker
	letters letters
	before  seen // what was there when the test began: somebody else's

	people []*person // who have worked under load
	main   struct {  // of the main job
		token, fid string
		mail       string // its text
		mp3        []byte
	}
}

// The Ingresses' hosts.
const (
	host     = "http://mp3converter.com"
	mailHost = "http://mail.mp3converter.com"
)

// The user whom init.sql makes.
const user, password = "sid@gmail.com", "sid123"

func newCluster() *cluster {
	c := &cluster{began: time.Now(), checker: checker.New()}
	c.client = c.newClient()
	return c
}

// newClient returns a client for whom the Ingresses' hosts are where the Ingress controller is.
func (c *cluster) newClient() *http.Client {
	var dialer net.Dialer
	return &http.Client{
		Timeout:       2 * time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DisableKeepAlives: true, // net/http repeats a request by itself when a connection that it kept is found dead
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, network, c.address)
			},
		},
	}
}

// send sends a request through the Ingress.
func (c *cluster) send(t testing.TB, r testsuite.Request) testsuite.Answer {
	t.Helper()
	a, err := r.TryBy(c.client)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// find learns where the Ingress controller is.
func (c *cluster) find(t *testing.T) {
	t.Helper()
	at := *ingress
	if at == "" {
		at = "http://" + testsuite.Awaited(t, "an address in the status of ingress/gateway-ingress; or say INGRESS=http://ADDRESS", func() (string, bool) {
			const path = "jsonpath={.status.loadBalancer.ingress[0].ip}{.status.loadBalancer.ingress[0].hostname}"
			addr := kubectl(t, "get", "ingress", "gateway-ingress", "-o", path)
			return addr, addr != ""
		})
	}
	u, err := url.Parse(at)
	if err != nil || u.Scheme != "http" || u.Hostname() == "" {
		t.Fatalf("INGRESS=%s: want http://ADDRESS", at)
	}
	c.address = net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "80"))
	c.say(t, "the Ingress is at %s", c.address)
}

// patience is how long an installation may take to be ready, images and first starts of databases included.
const patience = 10 * time.Minute

// allReady waits until everything runs and nothing is ending, and says when what was not ready became it.
func (c *cluster) allReady(t *testing.T) {
	t.Helper()
	from, deadline := time.Now(), time.Now().Add(patience)
	waiting := map[string]bool{}
	for {
		missing := unready(t)
		for name := range waiting {
			if _, still := missing[name]; !still {
				delete(waiting, name)
				c.say(t, "%s after %.1fs", name, time.Since(from).Seconds())
			}
		}
		if len(missing) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not after %v: %v", patience, missing)
		}
		for name := range missing {
			waiting[name] = true
		}
		time.Sleep(300 * time.Millisecond)
	}
}

// unready is what is waited for, and how far it is.
func unready(t *testing.T) map[string]string {
	t.Helper()
	missing := map[string]string{}
	all := workloads(t)
	if len(all) == 0 {
		missing["there are workloads"] = "none"
	}
	for _, w := range all {
		if !w.ready() {
			missing[w.String()+" is ready"] = fmt.Sprintf("%d of %d", w.Status.ReadyReplicas, w.Spec.Replicas)
		}
	}
	for _, p := range pods(t) {
		if p.Metadata.Deleted != nil {
			missing[p.Metadata.Name+" is gone"] = "ending"
		}
	}
	return missing
}

// steady fails the test if any container was ever restarted.
func (c *cluster) steady(t *testing.T) {
	t.Helper()
	c.say(t, "kubectl get pods:\n%s", kubectl(t, "get", "pods"))
	for _, p := range processes(t) {
		if p.Starts != p.Expected {
			t.Errorf("%s was started %d times", p.Name, p.Starts)
		}
	}
}

// processes are the containers as the checker takes them.
func processes(t testing.TB) (all []checker.Process) {
	t.Helper()
	for _, p := range pods(t) {
		for _, s := range p.Status.ContainerStatuses {
			all = append(all, checker.Process{Name: p.Metadata.Name + "/" + s.Name, Starts: 1 + s.RestartCount, Expected: 1})
		}
	}
	return all
}

// explain shows what an operator would look at.
func (c *cluster) explain(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	shown := [][]string{{"get", "pods", "-o", "wide"}, {"get", "events", "--sort-by=.lastTimestamp"}}
	names, _ := try(ctx, "get", "pods", "-o", "name") // what cannot be seen is not shown
	for _, name := range slices.Collect(strings.Lines(names)) {
		shown = append(shown, []string{"logs", "--tail=15", strings.TrimSpace(name)})
	}
	for _, args := range shown {
		out, err := try(ctx, args...)
		t.Logf("kubectl %s:\n%s%v", strings.Join(args, " "), out, err)
	}
}
