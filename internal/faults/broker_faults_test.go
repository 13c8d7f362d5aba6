package faults

// brokerFaults are the rows of the matrix about the broker.
var brokerFaults = []fault{}
