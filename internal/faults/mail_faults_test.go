package faults

// mailFaults are the rows of the matrix about the mail.
var mailFaults = []fault{}
