package deploy

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const minikubeUp = "deploy/minikube/up"

// minikube runs once it was started, and knows its address.
func minikube(w world, args []string) int {
	switch args[2] { // --profile NAME COMMAND
	case "status":
		if !w.has("minikube started") {
			return 7
		}
	case "start":
		w.set("", "minikube started")
	case "ip":
		os.Stdout.WriteString("192.168.49.2\n")
	case "docker-env":
		os.Stdout.WriteString("export DOCKER_HOST=tcp://192.168.49.2:2376\n")
	}
	return 0
}

// docker has the images that make made, in the engine that its environment names.
func docker(w world, args []string) int {
	id := w.get("image", os.Getenv("DOCKER_HOST"), args[len(args)-1])
	if id == "" {
		return 1
	}
	os.Stdout.WriteString(id + "\n")
	return 0
}

func makes(w world, _ []string) int {
	for _, service := range []string{"auth", "gateway", "converter", "notification"} {
		w.set("sha256:"+service+w.get("source", service), "image", os.Getenv("DOCKER_HOST"), "mp3converter/"+service+":1.0.0")
	}
	return 0
}

func uname(w world, _ []string) int {
	os.Stdout.WriteString(w.get("uname") + "\n")
	return 0
}

func minikubeWorld(t *testing.T) (world, func(args ...string) (string, error)) {
	t.Helper()
	w, run := newWorld(t, "minikube", "kubectl", "docker", "make", "uname")
	w.set("Linux", "uname")
	w.set("docker://28.4.0", "node", "minikube")
	w.set("127.0.0.1 localhost\n", "hosts")
	t.Setenv("HOSTS", w.path("hosts"))
	t.Setenv("MINIKUBE_PROFILE", "")
	return w, run
}

func TestMinikubeComesUpFromNothing(t *testing.T) {
	w, run := minikubeWorld(t)
	out, err := run(minikubeUp, "--cni=calico")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	k, wait := "kubectl --context minikube --namespace mp3converter ", " --timeout=30m"
	inspect := "docker image inspect --format {{.Id}} mp3converter/"
	want := []string{
		"minikube --profile minikube status",
		"minikube --profile minikube start --container-runtime=docker --cpus 2 --memory 4096 --cni=calico",
		"minikube --profile minikube addons enable ingress",
		k + "--namespace ingress-nginx wait --for=condition=Available deployment/ingress-nginx-controller --timeout=5m",
		k + "get node minikube -o jsonpath={.status.nodeInfo.containerRuntimeVersion}",
		"minikube --profile minikube docker-env --shell bash",
		inspect + "auth:1.0.0", inspect + "gateway:1.0.0", inspect + "converter:1.0.0", inspect + "notification:1.0.0",
		"make images",
		inspect + "auth:1.0.0", inspect + "gateway:1.0.0", inspect + "converter:1.0.0", inspect + "notification:1.0.0",
		k + "delete job mongodb-rights --ignore-not-found",
		k + "apply -f manifests",
		k + "rollout status statefulset/mysql" + wait, k + "rollout status statefulset/mongodb" + wait, k + "rollout status statefulset/rabbitmq" + wait,
		k + "rollout status deployment/mailpit" + wait, k + "rollout status deployment/auth" + wait, k + "rollout status deployment/gateway" + wait,
		k + "rollout status deployment/converter" + wait, k + "rollout status deployment/notification" + wait,
		"uname -s",
		"minikube --profile minikube ip",
	}
	if diff := cmp.Diff(want, w.calls(t)); diff != "" {
		t.Errorf("what it did:\n%s", diff)
	}
	line := "192.168.49.2 mp3converter.com mail.mp3converter.com rabbitmq-manager.com"
	if !strings.Contains(out, "echo '"+line+"' | sudo tee -a /etc/hosts") || strings.Contains(out, "tunnel") {
		t.Errorf("the line for /etc/hosts, and no tunnel, are expected of:\n%s", out)
	}

	w.set("127.0.0.1 localhost\n"+line+"\n", "hosts")
	out, err = run(minikubeUp)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want = slices.DeleteFunc(want, func(call string) bool { return strings.Contains(call, " start ") })
	if diff := cmp.Diff(want, w.calls(t)); diff != "" {
		t.Errorf("what it did the second time:\n%s", diff)
	}
	if strings.Contains(out, "/etc/hosts") {
		t.Errorf("the line for /etc/hosts is asked for, though it is there:\n%s", out)
	}

	w.set(" with a change", "source", "gateway")
	w.set(" with a change", "source", "converter")
	if out, err := run(minikubeUp); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	restarts := slices.DeleteFunc(w.calls(t), func(call string) bool { return !strings.Contains(call, "restart") })
	if diff := cmp.Diff([]string{k + "rollout restart deployment/gateway deployment/converter"}, restarts); diff != "" {
		t.Errorf("rolled out after a change to gateway and converter:\n%s", diff)
	}
}

func TestMinikubeWithoutDockerInsideIsGivenTheImages(t *testing.T) {
	w, run := minikubeWorld(t)
	w.set("containerd://2.1.4", "node", "minikube")
	if out, err := run(minikubeUp); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	loads := slices.DeleteFunc(w.calls(t), func(call string) bool { return !strings.Contains(call, "image load") })
	var want []string
	for _, service := range []string{"auth", "gateway", "converter", "notification"} {
		want = append(want, "minikube --profile minikube image load mp3converter/"+service+":1.0.0")
	}
	if diff := cmp.Diff(want, loads); diff != "" {
		t.Error(diff)
	}
}

func TestMinikubeOnAMacNeedsATunnel(t *testing.T) {
	w, run := minikubeWorld(t)
	w.set("Darwin", "uname")
	out, err := run(minikubeUp)
	if err != nil || !strings.Contains(out, "echo '127.0.0.1 mp3converter.com") || !strings.Contains(out, "minikube --profile minikube tunnel") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestMinikubeNamesWhatIsMissing(t *testing.T) {
	w, _ := newWorld(t, "kubectl", "make")
	for _, name := range []string{"bash", "dirname"} {
		path, err := exec.LookPath(name)
		if err == nil {
			err = os.Symlink(path, w.path("bin", name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(root + minikubeUp)
	cmd.Env = []string{"PATH=" + w.path("bin"), "STUB_WORLD=" + string(w)}
	out, err := cmd.CombinedOutput()
	want := "missing:\n  minikube: https://minikube.sigs.k8s.io/docs/start\n  docker: https://docs.docker.com/engine/install\n"
	if err == nil || string(out) != want {
		t.Errorf("%v\n%s\nwant\n%s", err, out, want)
	}
	if calls := w.calls(t); len(calls) > 0 {
		t.Errorf("it called %v all the same", calls)
	}
}

func TestMinikubeThatDoesNotComeUpStopsIt(t *testing.T) {
	for _, what := range []string{"start", "addons enable", "wait --for", "make images", "apply", "rollout status"} {
		w, run := minikubeWorld(t)
		w.set(what, "fails")
		if out, err := run(minikubeUp); err == nil {
			t.Errorf("it goes on when %q fails:\n%s", what, out)
		} else if calls := w.calls(t); !strings.Contains(calls[len(calls)-1], what) {
			t.Errorf("after %q had failed it went on with %s", what, calls[len(calls)-1])
		}
	}
}
