package testserver

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// FerretDB is the MongoDB-protocol server of the tests: no mongod can be had from a package registry. It scans whole
// collections, so keep data small. `make tools` builds it from the nested module internal/tools/ferretdb.
type FerretDB struct {
	*Server
	data string // folder; empty for Server.Dir
}

var sharedFerretDB = sync.OnceValues(StartFerretDB)

// MongoDB returns the connection string of a server shared by the whole test process; take a database name of your own.
func MongoDB(tb testing.TB) string {
	tb.Helper()
	s, err := sharedFerretDB()
	if err != nil {
		tb.Fatal(err)
	}
	return s.URI()
}

// StartFerretDB starts a server that the test may kill and Restart.
func StartFerretDB() (*FerretDB, error) { return StartFerretDBIn("") }

// StartFerretDBIn is StartFerretDB with its data in a folder of the test's own.
func StartFerretDBIn(data string) (*FerretDB, error) {
	s, err := start(ferretdb(data))
	return &FerretDB{s, data}, err
}

// URI is the server's connection string.
func (f *FerretDB) URI() string { return fmt.Sprintf("mongodb://%s/?directConnection=true", f.Addr) }

// Restart starts a killed server over the same data.
func (f *FerretDB) Restart() error { return f.run(ferretdb(f.data)) }

func ferretdb(data string) spec {
	return spec{
		name: "ferretdb", install: "run: make tools", ready: listening,
		command: func(dir, addr string) *exec.Cmd {
			cmd := exec.Command(Tool("ferretdb"), "-listen", addr, "-dir", cmp.Or(data, dir))
			cmd.Env = append(os.Environ(), "GOGC=400") // it keeps little and throws away much: a sixth of its work is to collect it
			return cmd
		},
	}
}

// Tool returns the path of a program that `make tools` builds: in $TOOLS, else .tools at the top of the repository.
func Tool(name string) string {
	return filepath.Join(cmp.Or(os.Getenv("TOOLS"), filepath.Join(Top(), ".tools")), name)
}

// Top is the folder of the repository that the test is in; where there is none, the test's own.
func Top() string {
	here, err := os.Getwd()
	for up := here; err == nil && up != "/"; up = filepath.Dir(up) {
		if _, err := os.Stat(filepath.Join(up, ".ci")); err == nil {
			return up
		}
	}
	return here
}
