package faults

// clientFaults are the rows of the matrix about the client.
var clientFaults = []fault{}
