package mongodb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Privilege is what a service may do with one collection, in MongoDB's words.
type Privilege struct {
	Database   Database
	Collection string
	Actions    []string
}

// Roles are what each service needs, by its name, and no more: what an intruder in one of them may do. Who writes to a
// collection looks after its indexes. Nobody needs update for files: what is stored of one is never changed.
var Roles = map[string][]Privilege{
	"gateway": {
		{Videos, "fs.files", []string{"find", "insert", "remove", "createIndex"}},
		{Videos, "fs.chunks", []string{"find", "insert", "remove", "createIndex"}},
		{MP3s, "fs.files", []string{"find", "remove"}},
		{MP3s, "fs.chunks", []string{"find", "remove"}},
		{Jobs, "jobs", []string{"find", "insert", "update", "remove", "createIndex"}},
		{Hooks, "hooks", []string{"find", "insert", "update", "remove", "createIndex"}},
		{Hooks, "deliveries", []string{"find", "insert", "update", "remove", "createIndex"}},
	},
	"converter": { // it reads what strangers made
		{Videos, "fs.files", []string{"find"}},
		{Videos, "fs.chunks", []string{"find"}},
		{MP3s, "fs.files", []string{"insert", "remove", "createIndex"}},
		{MP3s, "fs.chunks", []string{"insert", "remove", "createIndex"}},
		{Jobs, "jobs", []string{"find", "insert", "update", "createIndex"}},
	},
	"notification": {
		{MP3s, "fs.files", []string{"find"}}, // whether the MP3 of a message of the original's exists, and whose it is
		{Jobs, "jobs", []string{"find", "insert", "update", "createIndex"}},
		{Hooks, "hooks", []string{"find", "update", "createIndex"}},
		{Hooks, "deliveries", []string{"find", "insert", "update", "createIndex"}},
	},
}

// Grant makes a user for each of Roles, with a role of the same name and the password given; to those that exist it gives
// both anew. It logs in as user. roles is false if the server knows none, as FerretDB 1.24: there every user may do everything.
func Grant(ctx context.Context, uri, user, password string, passwords map[string]string) (roles bool, err error) {
	settings := options.Client().ApplyURI(uri)
	if err := settings.Validate(); err != nil {
		return false, redact(err)
	}
	settings.SetAuth(options.Credential{Username: user, Password: password, AuthSource: admin}).
		SetServerSelectionTimeout(selectionTimeout).SetWriteConcern(durable())
	pool, err := mongo.Connect(settings)
	if err != nil {
		return false, redact(err)
	}
	defer func() { _ = pool.Disconnect(context.WithoutCancel(ctx)) }() // nothing is under way
	ctx, cancel := context.WithTimeout(ctx, longTimeout)
	defer cancel()
	return grantAll(ctx, pool.Database(admin), passwords)
}

func grantAll(ctx context.Context, db *mongo.Database, passwords map[string]string) (roles bool, err error) {
	ferret, err := isFerretDB(ctx, db)
	if err != nil {
		return false, fmt.Errorf("ask mongodb what it is: %w", err)
	}
	for _, service := range slices.Sorted(maps.Keys(Roles)) {
		if err := grant(ctx, db, service, passwords[service], !ferret); err != nil {
			return false, fmt.Errorf("user %s: %w", service, err)
		}
	}
	return !ferret, nil
}

// admin is the database that users and roles belong to.
const admin = "admin"

// What MongoDB says when it has a role, or a user, of that name.
const (
	roleExists = 51002
	userExists = 51003
)

func grant(ctx context.Context, db *mongo.Database, service, password string, roles bool) error {
	given := bson.A{}
	if roles {
		given = bson.A{bson.D{{Key: "role", Value: service}, {Key: "db", Value: admin}}}
		what := bson.D{{Key: "privileges", Value: privileges(service)}, {Key: "roles", Value: bson.A{}}}
		if err := upsert(ctx, db, "Role", service, what, roleExists); err != nil {
			return err
		}
	}
	return upsert(ctx, db, "User", service, bson.D{{Key: "pwd", Value: password}, {Key: "roles", Value: given}}, userExists)
}

// upsert makes a user or a role, or changes the one there is.
func upsert(ctx context.Context, db *mongo.Database, kind, name string, what bson.D, exists int) error {
	err := db.RunCommand(ctx, append(bson.D{{Key: "create" + kind, Value: name}}, what...)).Err()
	if refused, ok := errors.AsType[mongo.CommandError](err); ok && refused.HasErrorCode(exists) {
		err = db.RunCommand(ctx, append(bson.D{{Key: "update" + kind, Value: name}}, what...)).Err()
	}
	return err
}

func privileges(service string) bson.A {
	var all bson.A
	for _, p := range Roles[service] {
		all = append(all, bson.D{
			{Key: "resource", Value: bson.D{{Key: "db", Value: string(p.Database)}, {Key: "collection", Value: p.Collection}}},
			{Key: "actions", Value: p.Actions},
		})
	}
	return all
}

// isFerretDB reports whether the server is FerretDB 1.
func isFerretDB(ctx context.Context, db *mongo.Database) (bool, error) {
	info, err := db.RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Raw()
	if err != nil {
		return false, err
	}
	_, err = info.LookupErr("ferretdbVersion")
	return err == nil, nil
}
