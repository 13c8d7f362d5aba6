// Package testsuite runs the whole system as its users and operators meet it, for tests: the four commands, built with the
// race detector, over the servers of package testserver, or the one program on its own stores. It has the users too: what
// they send, what they are answered, the mails they get. What is right or wrong of it is for the tests to say.
package testsuite
