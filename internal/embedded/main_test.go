package embedded_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain serves all tests of this folder, queues included. A child process, see child_test.go, never comes to the tests.
func TestMain(m *testing.M) {
	if play := os.Getenv(roleVar); play != "" {
		child(play)
	}
	goleak.VerifyTestMain(m)
}
