package faults

// storeFaults are the rows of the matrix about the store.
var storeFaults = []fault{}
