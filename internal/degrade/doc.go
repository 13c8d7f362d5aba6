// Package degrade shows what the system does with a part of it missing: while something it depends on is down, row by row
// of README's table, and while its own processes are told to stop under load. It has tests only, of the four commands as
// processes over real servers; that nothing is lost when they die without being told is for package faults.
package degrade
