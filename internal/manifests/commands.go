package manifests

import (
	"slices"
	"strings"
)

// commands holds that scripts arrive as they are written: in a command and its arguments Kubernetes makes $ of $$.
func commands(s *Set) []Finding {
	var findings []Finding
	for _, w := range s.Workloads() {
		for _, c := range w.Containers() {
			for _, word := range slices.Concat(c.Command, c.Args) {
				if at := strings.Index(word, "$$"); at >= 0 {
					findings = append(findings, w.Find("args", "container %s: Kubernetes makes $ of the $$ in %.20q: write it otherwise", c.Name, word[at:]))
				}
			}
		}
	}
	return findings
}
