// Package mongodb keeps files in GridFS and jobs in a collection. It stores and finds, and knows no service: what a job
// may do next is package job's affair, and when to look at one again the caller's.
//
// It asks nothing of the server that a single node, a replica set and FerretDB 1.24 do not all have: no transactions, no
// TTL or partial indexes, no pipelines in updates. Promises are made with write concern majority, journaled.
package mongodb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
)

const (
	// selectionTimeout is how long a call looks for a server, unless the connection string has serverSelectionTimeoutMS.
	// Callers answer 503 or back off after it, so it is far below the driver's 30 s.
	selectionTimeout = 5 * time.Second
	// commandTimeout bounds each command, not the streams made of many. The driver's own Timeout stays unset: it would
	// cap whole uploads and downloads.
	commandTimeout = 10 * time.Second
	// longTimeout is for the commands that touch many documents, or on FerretDB all of them: deleting a file, finding the
	// chunks to read.
	longTimeout = 60 * time.Second
	// indexTimeout is for building an index of years of jobs. Broken off, a build begins anew, and so would never end.
	indexTimeout = time.Hour
)

// Client is a connection pool and the databases behind it. It is safe for parallel use; Close it at the end.
type Client struct {
	mongo   *mongo.Client
	prefix  string
	timeout time.Duration
	videos  *Files
	mp3s    *Files
	jobs    *Ledger

	hooks      *WebhookStore
	deliveries *Deliveries
}

// Option changes what Connect makes.
type Option func(*Client)

// Prefix puts p before the names of all databases, so that tests share a server. Production has none.
func Prefix(p string) Option { return func(c *Client) { c.prefix = p } }

// CommandTimeout replaces the 10 s that each command may take.
func CommandTimeout(d time.Duration) Option { return func(c *Client) { c.timeout = d } }

// Connect returns a client of the servers that the connection string names. It does not wait for them: use Ping. Its
// errors never quote the connection string, which holds a password.
func Connect(uri, appName string, opts ...Option) (*Client, error) {
	settings := options.Client().ApplyURI(uri)
	if err := settings.Validate(); err != nil {
		return nil, redact(err)
	}
	// Whatever the connection string says: we read what we wrote, and what is written stays.
	settings.SetAppName(appName).SetReadPreference(readpref.Primary()).SetWriteConcern(durable())
	if settings.ServerSelectionTimeout == nil {
		settings.SetServerSelectionTimeout(selectionTimeout)
	}
	pool, err := mongo.Connect(settings)
	if err != nil {
		return nil, redact(err)
	}
	c := &Client{mongo: pool, timeout: commandTimeout}
	for _, opt := range opts {
		opt(c)
	}
	c.videos, c.mp3s, c.jobs = newFiles(c, Videos), newFiles(c, MP3s), newLedger(c)
	c.hooks, c.deliveries = newWebhookStore(c), newDeliveries(c)
	return c, nil
}

// redact replaces an error about the connection string: the driver's may quote the password in it (CVE-2026-129934).
func redact(err error) error {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return errors.New("mongodb connection string: the SRV record of its host cannot be looked up")
	}
	return errors.New("mongodb connection string: malformed; want mongodb://user:password@host:27017/?replicaSet=name, with special characters of the password as %XX")
}

// durable is the write concern behind every promise: a majority has it in its journal.
func durable() *writeconcern.WriteConcern {
	journal := true
	return &writeconcern.WriteConcern{W: writeconcern.WCMajority, Journal: &journal}
}

// Videos stores the uploads.
func (c *Client) Videos() *Files { return c.videos }

// MP3s stores the results.
func (c *Client) MP3s() *Files { return c.mp3s }

// Jobs is the ledger.
func (c *Client) Jobs() *Ledger { return c.jobs }

// Hooks keeps the webhooks.
func (c *Client) Hooks() *WebhookStore { return c.hooks }

// Deliveries keeps what is sent to them.
func (c *Client) Deliveries() *Deliveries { return c.deliveries }

// Ping asks the primary whether it is there.
func (c *Client) Ping(ctx context.Context) error {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	if err := c.mongo.Ping(ctx, readpref.Primary()); err != nil {
		return fmt.Errorf("ping mongodb: %w", err)
	}
	return nil
}

// Close ends the connections. Calls still running fail.
func (c *Client) Close(ctx context.Context) error {
	if err := c.mongo.Disconnect(ctx); err != nil {
		return fmt.Errorf("disconnect from mongodb: %w", err)
	}
	return nil
}

func (c *Client) database(name Database) *mongo.Database {
	return c.mongo.Database(c.prefix + string(name))
}

// insertTime is how long inserting a batch of chunks may take. It is the largest command there is, and many writers queue
// for one disk.
func (c *Client) insertTime() time.Duration { return 3 * c.timeout }

// fetchTime is how long fetching a batch of chunks may take: the cursor fails at the end of its time, a new one is found at
// the end of its own, and fetches for as long.
func (c *Client) fetchTime() time.Duration { return longTimeout + 2*c.timeout }

// bound gives one command its deadline.
func (c *Client) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.timeout)
}
