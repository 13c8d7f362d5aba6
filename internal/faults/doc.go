// Package faults proves the promise of a 200 by breaking it everywhere: it kills, fails and stalls the four programs at
// every fail point, breaks what they stand on, and after each run has package checker look for what was lost, done twice
// or left behind. All of it is tests:
//
//	crash_test.go    the crash points, one run for each point, action and number of processes
//	*_faults_test.go the fault matrix, by what breaks
//	soak_test.go     random faults under load, for as long as one likes
package faults
