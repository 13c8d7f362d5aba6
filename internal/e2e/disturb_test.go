package e2e

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// disturb restarts and deletes everything, one thing at a time, while users are at work. None of their requests may fail,
// but be put off; and in the end nothing may be lost.
func disturb(t *testing.T, c *cluster) {
	l := c.startLoad(t)
	l.more(t)
	for _, w := range workloads(t) {
		if w.Kind == "Deployment" {
			l.disturb(t, "rollout restart "+w.Metadata.Name, "", func(t *testing.T) { kubectl(t, "rollout", "restart", w.String()) })
		}
	}
	for _, p := range pods(t) {
		name := p.Metadata.Name
		l.disturb(t, "delete pod "+name, p.Metadata.Labels["app"], func(t *testing.T) { kubectl(t, "delete", "pod", name) })
	}
	converter := slices.IndexFunc(workloads(t), func(w workload) bool { return w.Metadata.Name == "converter" })
	for _, n := range []int{1, 4, 1, workloads(t)[converter].Spec.Replicas} {
		l.disturb(t, fmt.Sprintf("scale converter to %d", n), "", func(t *testing.T) {
			kubectl(t, "scale", "deployment/converter", "--replicas="+strconv.Itoa(n))
		})
	}
	l.enter("afterwards", false)
	l.more(t)
	l.end()
	c.say(t, "requests:\n%s", l.table())
	l.fails(t)
	c.settles(t)
	c.steady(t)
}

// disturb does something and waits until everything is ready and serves again.
func (l *load) disturb(t *testing.T, name, app string, do func(t *testing.T)) {
	t.Helper()
	t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
		l.enter(name, app == "mongodb")
		l.c.say(t, "%s", name)
		do(t)
		l.c.allReady(t)
		l.more(t)
		l.fails(t)
	})
}
