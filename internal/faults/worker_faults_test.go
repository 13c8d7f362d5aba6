package faults

// workerFaults are the rows of the matrix about the worker.
var workerFaults = []fault{}
