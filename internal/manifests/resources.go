package manifests

import (
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// resources holds that each container asks for what it needs and is bounded, and that Go knows the bound.
func resources(s *Set) []Finding {
	var findings []Finding
	for _, w := range s.Workloads() {
		for _, c := range w.Containers() {
			has := c.Resources
			for field, q := range map[string]*resource.Quantity{
				"requests.cpu": has.Requests.Cpu(), "requests.memory": has.Requests.Memory(), "limits.memory": has.Limits.Memory(),
			} {
				if q.Sign() <= 0 {
					findings = append(findings, w.Find("resources."+field, "container %s: set it", c.Name))
				}
			}
			for name, limit := range has.Limits {
				if request := has.Requests[name]; request.Cmp(limit) > 0 {
					findings = append(findings, w.Find("resources", "container %s asks for more %s than its limit", c.Name, name))
				}
			}
		}
		if w.Ours() {
			findings = append(findings, s.goMemory(w)...)
		}
	}
	return findings
}

// goMemory holds that Go's collector is told of the limit, before the kernel tells it.
func (s *Set) goMemory(w Workload) []Finding {
	const field = "env[GOMEMLIMIT]"
	text, ok := s.Environment(w)["GOMEMLIMIT"]
	if !ok {
		return []Finding{w.Find(field, "set it, below the memory limit")}
	}
	n, err := goBytes(text)
	limit := w.Container().Resources.Limits.Memory().Value()
	switch {
	case err != nil:
		return []Finding{w.Find(field, "%q is none of Go's sizes", text)}
	case n > limit:
		return []Finding{w.Find(field, "%s is more than the memory limit %d", text, limit)}
	}
	return nil
}

// goBytes reads a size as Go's runtime does.
func goBytes(text string) (int64, error) {
	for i, unit := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if digits, ok := strings.CutSuffix(text, unit); ok {
			n, err := strconv.ParseInt(digits, 10, 64)
			return n << (10 * (i + 1)), err
		}
	}
	return strconv.ParseInt(strings.TrimSuffix(text, "B"), 10, 64)
}

// images holds that each is one version for good, and that ours are taken from the machine if they are there.
func images(s *Set) []Finding {
	var findings []Finding
	for _, w := range s.Workloads() {
		for _, c := range w.Containers() {
			_, digest, _ := strings.Cut(c.Image, "@")
			if tag := tagOf(c.Image); digest == "" && (tag == "" || tag == "latest") {
				findings = append(findings, w.Find("image", "%s: name a version", c.Image))
			}
			if c.ImagePullPolicy != corev1.PullIfNotPresent {
				findings = append(findings, w.Find("imagePullPolicy", "container %s: set %s", c.Name, corev1.PullIfNotPresent))
			}
		}
	}
	return findings
}

func tagOf(image string) string {
	image, _, _ = strings.Cut(image, "@")
	_, tag, _ := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	return tag
}
