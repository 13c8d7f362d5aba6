// Package user is what a row of the user table holds. It does no I/O and judges nothing: package auth hashes and compares
// passwords, the stores (packages mysql and embedded) keep the rows, and all three mean this type.
package user

// User may log in.
type User struct {
	Email    string // what logs in and what mails go to; unique, and stores compare its bytes
	Password string // an Argon2id PHC string, or the original's plain text until its first login
	Admin    bool   // may use the service: the token's claim of that name
}
