package degrade

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"mp3converter/internal/job"
	"mp3converter/internal/testserver"
	"mp3converter/internal/testsuite"
)

// installation is one whose programs come and go.
type installation struct {
	*testsuite.Services
	db *mongo.Client
}

// newInstallation prepares one; nothing runs yet.
func newInstallation(t *testing.T, settings ...string) *installation {
	t.Helper()
	ferret := started(t, testserver.StartFerretDB)
	database := testserver.MySQL(t)
	s := testsuite.NewServices(t, testsuite.Servers{
		MySQL: database.Addr, MongoDB: ferret.URI(), SMTP: testsuite.MailServer(t),
		Rabbit: vhost(t, started(t, sharedRabbit)).String(),
	})
	s.Users, s.Settings = testsuite.UserTable(t, database.Addr), settings
	db, err := mongo.Connect(options.Client().ApplyURI(ferret.URI()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Disconnect(t.Context()) })
	return &installation{s, db}
}

// documents is how many a collection has.
func (i *installation) documents(t *testing.T, database, collection string) int64 {
	t.Helper()
	n, err := i.db.Database(database).Collection(collection).CountDocuments(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// record is a job as the ledger has it, with what no user sees.
func (i *installation) record(t *testing.T, id string) (j job.Job) {
	t.Helper()
	if err := i.db.Database("jobs").Collection("jobs").FindOne(t.Context(), bson.D{{Key: "_id", Value: id}}).Decode(&j); err != nil {
		t.Fatal(err)
	}
	return j
}

// ready waits until the programs are.
func ready(t *testing.T, programs ...*testsuite.Process) {
	t.Helper()
	for _, p := range programs {
		testsuite.Eventually(t, p.Name+" is ready", func() bool { return p.Ready(t).Body == "ready" })
	}
}
