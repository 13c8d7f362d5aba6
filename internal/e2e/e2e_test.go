package e2e

import (
	"flag"
	"testing"
	"time"
)

var (
	wanted    = flag.Bool("e2e", false, "run on the cluster of KUBECONFIG")
	ingress   = flag.String("ingress", "", "URL of the Ingress controller; without it what the Ingress's status says")
	reuse     = flag.Bool("reuse", false, "go on with an installation that is there")
	manifests = flag.String("manifests", "../../manifests", "folder of the manifests")
)

// TestE2E tells the life of an installation. Each part stands on those before it.
func TestE2E(t *testing.T) {
	if !*wanted {
		t.Skip("needs a cluster: make e2e")
	}
	refuse(t)
	c := newCluster()
	for _, part := range []struct {
		name string
		tell func(*testing.T, *cluster)
	}{
		{"installs without a touch", install},
		{"does the main job", mainJob},
		{"fits into 4 GiB", memory},
		{"has what is around it", around},
		{"goes on under load while everything is restarted", disturb},
		{"is uninstalled but for its volumes, and comes back", uninstall},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.tell(t, c) }) {
			c.explain(t)
			return
		}
	}
	c.say(t, "the suite is left running; to remove all but its data:\n  kubectl delete -f manifests -l 'mp3converter/keep!=true'")
}

// say tells how far the test is.
func (c *cluster) say(t *testing.T, format string, args ...any) {
	t.Helper()
	t.Logf("%6.1fs  "+format, append([]any{time.Since(c.began).Seconds()}, args...)...)
}
