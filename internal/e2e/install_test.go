package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"mp3converter/internal/testsuite"
)

// refuse ends the test where somebody's installation is.
func refuse(t *testing.T) {
	t.Helper()
	if there := len(pods(t)); there > 0 && !*reuse {
		t.Fatalf("namespace %s has %d pods already: this test deletes pods and uninstalls. Say REUSE=1 if that is what you want, or first\n"+
			"  kubectl delete namespace %s", namespace, there, namespace)
	}
}

// install applies the manifests and waits; nobody else does anything.
func install(t *testing.T, c *cluster) {
	c.apply(t)
	if *reuse {
		c.before = c.everything(t)
		c.say(t, "%d jobs were there before", len(c.before.jobs))
	}
	c.steady(t)
}

// apply applies the manifests and waits until the API answers.
func (c *cluster) apply(t *testing.T) {
	t.Helper()
	from := time.Now()
	out := kubectl(t, "apply", "-f", *manifests)
	c.say(t, "kubectl apply -f manifests: %d objects", strings.Count(out, "\n"))
	c.allReady(t)
	ready := time.Since(from)
	c.find(t)
	testsuite.Eventually(t, "the Ingress leads to the gateway", func() bool {
		a, err := testsuite.Request{Base: host, Method: http.MethodPost, Path: "/login"}.TryBy(c.client)
		return err == nil && a.Status == http.StatusUnauthorized && a.Body == "missing credentials"
	})
	c.say(t, "from apply to ready: %.1fs; to the first answer through the Ingress: %.1fs", ready.Seconds(), time.Since(from).Seconds())
}
