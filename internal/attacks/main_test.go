package attacks

import (
	"flag"
	"testing"

	"mp3converter/internal/testserver"
	"mp3converter/internal/testsuite"
)

var (
	full  = flag.Bool("full", false, "try the slow attacks too, and the others at full count")
	table = flag.String("table", "", "a file to write the table of attacks to")
)

func TestMain(m *testing.M) {
	flag.Parse()
	go func() { _ = testsuite.Release.Build() }() // while the servers start
	testserver.Main(m, testsuite.Release.Remove)
}
