package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"mp3converter/internal/testsuite"
)

const namespace = "mp3converter"

// kubectl runs a command in the installation's namespace, which must succeed, and returns what it prints.
func kubectl(t testing.TB, args ...string) string {
	t.Helper()
	out, err := try(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// try is kubectl for a command that may fail.
func try(ctx context.Context, args ...string) (string, error) { return tryWith(ctx, "", args...) }

func tryWith(ctx context.Context, input string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "kubectl", append([]string{"-n", namespace}, args...)...)
	var out, complaints bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &complaints
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, complaints.Bytes())
	}
	return out.String(), nil
}

// get reads objects of the cluster.
func get[T any](t testing.TB, args ...string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(kubectl(t, append([]string{"get", "-o", "json"}, args...)...)), &v); err != nil {
		t.Fatalf("kubectl get %s: %v", strings.Join(args, " "), err)
	}
	return v
}

// meta is what all objects have.
type meta struct {
	Name       string
	Generation int64
	Labels     map[string]string
	Deleted    *time.Time `json:"deletionTimestamp"`
}

// workload is a Deployment or a StatefulSet, in the part that matters.
type workload struct {
	Kind     string
	Metadata meta
	Spec     struct{ Replicas int }
	Status   struct {
		ObservedGeneration                       int64
		Replicas, ReadyReplicas, UpdatedReplicas int
	}
}

func (w workload) String() string { return strings.ToLower(w.Kind) + "/" + w.Metadata.Name }

// ready reports whether all that the workload should run is of its newest kind and ready, and nothing else is left.
func (w workload) ready() bool {
	n := w.Spec.Replicas
	return w.Status.ObservedGeneration == w.Metadata.Generation && w.Status.Replicas == n && w.Status.ReadyReplicas == n && w.Status.UpdatedReplicas == n
}

// pod is one, in the part that matters.
type pod struct {
	Metadata meta
	Spec     struct{ NodeName string }
	Status   struct {
		ContainerStatuses []struct {
			Name         string
			RestartCount int
		}
	}
}

type list[T any] struct{ Items []T }

func workloads(t testing.TB) []workload {
	t.Helper()
	return get[list[workload]](t, "deployments,statefulsets").Items
}

// pods are those that are to run: those of Jobs end, and go.
func pods(t testing.TB) []pod {
	t.Helper()
	return get[list[pod]](t, "pods", "--field-selector=status.phase!=Succeeded").Items
}

var forwarding = regexp.MustCompile(`Forwarding from (127\.0\.0\.1:\d+) ->`)

// forward returns a way to a port of the workload's pod, open until the test ends.
func forward(t testing.TB, target, port string) (addr string) {
	t.Helper()
	cmd := exec.Command("kubectl", "-n", namespace, "port-forward", target, ":"+port) // outlives t.Context: clients say goodbye
	out := &said{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }) // it ends by being killed
	return testsuite.Awaited(t, "kubectl port-forward "+target, func() (string, bool) {
		found := forwarding.FindStringSubmatch(out.String())
		if found == nil {
			return "", false
		}
		return found[1], true
	})
}
