// Package rights tries what each service may do at the servers behind it, and what an intruder in it may not: at RabbitMQ with
// the users of manifests/, at MariaDB with init.sql's, and at MongoDB by comparing what the services ask for with their roles,
// for no mongod can be had here. It has tests only.
package rights
