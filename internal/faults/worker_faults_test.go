package faults

import "testing"

// workerFaults are the rows of the matrix about the worker.
func workerFaults(*testing.T) []fault { return nil }
