// Package stories tells what the whole system does, as its users and the original's programs see it: every row of the
// contract, over HTTP, AMQP, GridFS, SQL and SMTP, against the commands as they are built. Most stories are told of two
// suites: the four services over real servers, and the one program on embedded stores. It has tests only; what a single
// package does in its corners is told by that package's own.
package stories
