package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// memory is what the kubelets say that the idle suite works with. It must fit a minikube of 4 GB.
func memory(t *testing.T, c *cluster) {
	c.settles(t)
	const most = 4 << 30
	var total int64
	var lines strings.Builder
	for _, u := range usages(t) {
		total += u.bytes
		fmt.Fprintf(&lines, "%8.1f MiB  %s\n", float64(u.bytes)/(1<<20), u.pod)
	}
	c.say(t, "working sets, idle:\n%s%8.1f MiB  in all", lines.String(), float64(total)/(1<<20))
	if total > most {
		t.Errorf("the idle suite works with %d MiB, at most may it with %d", total>>20, most>>20)
	}
}

type usage struct {
	pod   string
	bytes int64
}

// usages are all pods' working sets, the largest first.
func usages(t *testing.T) (all []usage) {
	t.Helper()
	nodes, running := map[string]bool{}, pods(t)
	for _, p := range running {
		nodes[p.Spec.NodeName] = true
	}
	for node := range nodes {
		var summary struct {
			Pods []struct {
				PodRef struct{ Name, Namespace string }
				Memory struct{ WorkingSetBytes int64 }
			}
		}
		if err := json.Unmarshal([]byte(kubectl(t, "get", "--raw", "/api/v1/nodes/"+node+"/proxy/stats/summary")), &summary); err != nil {
			t.Fatal(err)
		}
		for _, p := range summary.Pods {
			if p.PodRef.Namespace == namespace {
				all = append(all, usage{p.PodRef.Name, p.Memory.WorkingSetBytes})
			}
		}
	}
	for _, p := range running {
		if !slices.ContainsFunc(all, func(u usage) bool { return u.pod == p.Metadata.Name && u.bytes > 0 }) {
			t.Errorf("nobody knows the memory of %s", p.Metadata.Name)
		}
	}
	slices.SortFunc(all, func(a, b usage) int { return cmp.Compare(b.bytes, a.bytes) })
	return all
}
