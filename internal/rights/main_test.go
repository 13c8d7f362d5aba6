package rights

import (
	"testing"

	"mp3converter/internal/testserver"
	"mp3converter/internal/testsuite"
)

func TestMain(m *testing.M) {
	testserver.Main(m, testsuite.WithFailpoints.Remove)
}
