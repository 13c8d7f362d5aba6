package faults

// allFaults are the rows of the matrix about the all.
var allFaults = []fault{}
