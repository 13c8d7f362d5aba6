package stories

import (
	"testing"

	"mp3converter/internal/browser"
	"mp3converter/internal/testserver"
	"mp3converter/internal/testsuite"
)

func TestMain(m *testing.M) {
	go func() { _ = testsuite.Release.Build() }() // while the servers start; whoever needs a program waits for it
	testserver.Main(m, browser.Close, testsuite.Release.Remove)
}
