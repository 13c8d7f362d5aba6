package deploy

import (
	"os"
	"path/filepath"
	"testing"

	"mp3converter/internal/testserver"
	"mp3converter/internal/testsuite"
)

func TestMain(m *testing.M) {
	if name := filepath.Base(os.Args[0]); os.Getenv("STUB_WORLD") != "" {
		os.Exit(stub(name, os.Args[1:]))
	}
	testserver.Main(m, testsuite.Release.Remove)
}

// root is the top of the repository.
const root = "../../"

func read(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(root + file)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
