// Package attacks tries on the running suite what somebody would who means harm: the four commands as they are built, over
// real servers, by HTTP, bare TCP, AMQP, SMTP and files. Its rows are those of our list of attacks, by whose numbers they
// go; make attacks prints them, with what was expected and what was seen. It has tests only.
package attacks
