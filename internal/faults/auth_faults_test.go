package faults

// authFaults are the rows of the matrix about the auth.
var authFaults = []fault{}
