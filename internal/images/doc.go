// Package images holds what the four Dockerfiles and .dockerignore promise, without Docker. All of it is tests.
package images
