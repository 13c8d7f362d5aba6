package faults

import (
	"flag"
	"testing"

	"mp3converter/internal/testserver"
	"mp3converter/internal/testsuite"
)

// full runs everything; without it a part that fits into make test.
var full = flag.Bool("full", false, "run all crash points with all actions, and the slow faults")

func TestMain(m *testing.M) {
	flag.Parse()
	go func() { _ = testsuite.WithFailpoints.Build() }() // while the servers start
	testserver.Main(m, testsuite.WithFailpoints.Remove, testsuite.WithoutRaces.Remove)
}
