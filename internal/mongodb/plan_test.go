package mongodb

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"mp3converter/internal/hook"
	"mp3converter/internal/job"
	"mp3converter/internal/testserver"
)

// FerretDB scans whatever it is asked, and no mongod can be had here to explain its plans. So what the ledger asks is taken
// off the wire, and held against MongoDB's rules for compound indexes: fields that are compared for equality come first,
// then those sorted by, then ranges.

// question is what a command looks for in the collection of jobs.
type question struct {
	verb         string
	filter, sort bson.D
	limit        int64
}

// wiretap notes the questions that a client asks of a collection.
type wiretap struct {
	of        string
	mu        sync.Mutex
	questions []question
}

func (w *wiretap) monitor() *event.CommandMonitor {
	return &event.CommandMonitor{Started: func(_ context.Context, e *event.CommandStartedEvent) {
		if name, _ := e.Command.Lookup(e.CommandName).StringValueOK(); name != w.of {
			return
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.questions = append(w.questions, questions(e.CommandName, e.Command)...)
	}}
}

// questions are those in a command. One that it does not know shows as a question without a filter: a scan.
func questions(verb string, command bson.Raw) []question {
	document := func(in bson.Raw, path ...string) (d bson.D) {
		if raw, ok := in.Lookup(path...).DocumentOK(); ok {
			_ = bson.Unmarshal(raw, &d)
		}
		return d
	}
	switch verb {
	case "insert", "createIndexes":
		return nil
	case "find":
		limit, _ := command.Lookup("limit").AsInt64OK()
		return []question{{verb, document(command, "filter"), document(command, "sort"), limit}}
	case "aggregate":
		return []question{{verb: verb, filter: document(command, "pipeline", "0", "$match")}}
	case "update":
		return []question{{verb: verb, filter: document(command, "updates", "0", "q")}}
	case "delete":
		return []question{{verb: verb, filter: document(command, "deletes", "0", "q")}}
	}
	return []question{{verb: verb}}
}

// branches are the filters of which each may use an index of its own.
func (q question) branches() []bson.D {
	if len(q.filter) == 1 && q.filter[0].Key == "$or" {
		var all []bson.D
		for _, b := range q.filter[0].Value.(bson.A) {
			all = append(all, b.(bson.D))
		}
		return all
	}
	return []bson.D{q.filter}
}

// plan says which index serves a filter best, and what is left to be looked at in each document: "owner,_id; state".
// Without any it is a scan.
func (q question) plan(filter bson.D, indexes [][]string) string {
	equal, between := map[string]bool{}, map[string]bool{}
	for _, e := range filter {
		operator := "$eq"
		if ops, ok := e.Value.(bson.D); ok && len(ops) == 1 {
			operator = ops[0].Key
		}
		equal[e.Key] = operator == "$eq" || operator == "$in"
		between[e.Key] = strings.HasPrefix(operator, "$lt") || strings.HasPrefix(operator, "$gt")
	}
	best, least, whole := "scan", len(filter)+1, false
	for _, index := range indexes {
		used := q.follow(index, equal, between)
		if used == 0 {
			continue
		}
		var left []string
		for _, e := range filter {
			if !slices.Contains(index[:used], e.Key) {
				left = append(left, e.Key)
			}
		}
		exact := used == len(index) && equal[index[0]]
		if len(left) < least || len(left) == least && exact && !whole {
			best, least, whole = strings.Join(index, ","), len(left), exact
			if len(left) > 0 {
				best += "; " + strings.Join(left, ",")
			}
		}
	}
	return best
}

// follow returns how many fields of the index bound or order what the question is for, 0 if the index does not help: none
// does, or the order is another.
func (q question) follow(index []string, equal, between map[string]bool) int {
	n := 0
	for n < len(index) && equal[index[n]] {
		n++
	}
	bounded := n > 0
	for _, by := range q.sort {
		if equal[by.Key] {
			continue
		}
		if n == len(index) || index[n] != by.Key {
			return 0
		}
		bounded = bounded || between[index[n]]
		n++
	}
	if len(q.sort) == 0 && n < len(index) && between[index[n]] {
		n, bounded = n+1, true
	}
	if !bounded && (len(q.filter) > 0 || q.limit == 0) {
		return 0 // the whole index would be read
	}
	return n
}

// indexFields are what the indexes of a collection are over, as EnsureIndexes makes them.
func indexFields(indexes []mongo.IndexModel) [][]string {
	all := [][]string{{"_id"}}
	for _, m := range indexes {
		var fields []string
		for _, e := range m.Keys.(bson.D) {
			fields = append(fields, e.Key)
		}
		all = append(all, fields)
	}
	return all
}

func TestEveryQuestionOfTheLedgerIsAnsweredFromAnIndex(t *testing.T) {
	tap, client := tapped(t, "jobs")
	l := newLedger(client)
	ctx, now := t.Context(), time.Now()
	j := job.New(now, job.DefaultRules(), job.NewID(now), "a@example.com")
	note := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	got := tap.plans(jobsIndexes(), []call{
		{"Insert", func() { note(nil, l.Insert(ctx, j)) }},
		{"Get", func() { note(l.Get(ctx, j.ID)) }},
		{"ByKey", func() { note(l.ByKey(ctx, j.Key)) }},
		{"ByMP3", func() { _, _ = l.ByMP3(ctx, j.Owner, "of no job") }},
		{"Undated", func() { note(l.Undated(ctx, 10)) }},
		{"AllByMP3", func() { note(l.AllByMP3(ctx, "of no job")) }},
		{"Update", func() {
			note(l.Update(ctx, j.ID, func(j *job.Job) error { return j.StillUploading(now, job.DefaultRules()) }))
		}},
		{"List", func() { note(l.List(ctx, j.Owner, "", 10)) }},
		{"List, next page", func() { note(l.List(ctx, j.Owner, j.ID, 10)) }},
		{"Find", func() { note(l.Find(ctx, j.Owner, job.Filter{Profile: job.Best, Name: "a"}, "", 10)) }},
		{"Find by state", func() { note(l.Find(ctx, j.Owner, job.Filter{States: []job.State{job.Done}}, j.ID, 10)) }},
		{"Find by all", func() {
			note(l.Find(ctx, j.Owner, job.Filter{States: []job.State{job.Done, job.Failed}, Profile: job.Best, Name: "a"}, j.ID, 10))
		}},
		{"Changes", func() { note(l.Changes(ctx, j.Owner, now, 10)) }},
		{"Usage", func() { note(l.Usage(ctx, j.Owner)) }},
		{"Due", func() { note(l.Due(ctx, now, 10)) }},
		{"Backlog", func() { note(l.Backlog(ctx)) }},
		{"Search", func() { note(l.Search(ctx, Wanted{}, 10)) }},
		{"Search, next page", func() { note(l.Search(ctx, Wanted{Before: j.ID}, 10)) }},
		{"Search by owner", func() { note(l.Search(ctx, Wanted{Owner: j.Owner, Before: j.ID}, 10)) }},
		{"Search by state", func() { note(l.Search(ctx, Wanted{State: job.Failed}, 10)) }},
		{"Search by state, next page", func() { note(l.Search(ctx, Wanted{State: job.Failed, Before: j.ID}, 10)) }},
		{"Search by both", func() { note(l.Search(ctx, Wanted{Owner: j.Owner, State: job.Failed, Before: j.ID}, 10)) }},
		{"Oldest", func() { note(l.Oldest(ctx, job.Queued, 10)) }},
		{"CleanDue", func() { note(l.CleanDue(ctx, now, 10)) }},
		{"Named", func() { note(l.Named(ctx, []string{j.ID})) }},
		{"Untold", func() { note(l.Untold(ctx, now, 10)) }},
		{"Remove", func() { note(nil, l.Remove(ctx, j.ID)) }},
	})
	// After a semicolon: what is looked at in the jobs found. A job's id and version, and an MP3's id, are of one job; of an
	// owner's jobs few are invisible; a page of an owner's jobs by profile or name reads that owner's.
	want := map[string]string{
		"Insert": "", "Get": "find by _id", "ByKey": "find by key", "ByMP3": "find by mp3; owner,state", "AllByMP3": "find by mp3; state", "Undated": "find by state,dated",
		"Update": "find by _id | update by _id; version", "Remove": "delete by _id",
		"List": "find by owner,_id; state", "List, next page": "find by owner,_id; state",
		"Find": "find by owner,_id; state,profile,name", "Find by state": "find by owner,state,_id",
		"Find by all": "find by owner,state,_id; profile,name",
		"Changes":     "find by owner,changed; state",
		"Usage":       "aggregate by owner,_id | aggregate by owner,_id",
		"Due":         "find by ring_at | find by clean_at",
		"Backlog":     "aggregate by state,_id | aggregate by state,_id | aggregate by state,_id | find by since",
		"Search":      "find by _id", "Search, next page": "find by _id", "Search by owner": "find by owner,_id",
		"Search by state": "find by state,_id", "Search by state, next page": "find by state,_id", "Search by both": "find by owner,state,_id",
		"Oldest":   "find by state,_id",
		"CleanDue": "find by clean_at", "Untold": "find by tell_at", "Named": "find by _id | find by mp3 | find by tried",
	}
	wantPlans(t, want, got)
}

func TestEveryQuestionOfWebhooksIsAnsweredFromAnIndex(t *testing.T) {
	ctx, now := t.Context(), time.Now()
	h := hook.New(now, "a@example.com", "https://example.com", 0)
	d := h.Ping(now)
	note := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	tap, client := tapped(t, "hooks")
	hooks := newWebhookStore(client)
	got := tap.plans(hooksIndexes(), []call{
		{"Insert", func() { note(nil, hooks.Insert(ctx, h)) }},
		{"Get", func() { note(hooks.Get(ctx, h.ID)) }},
		{"Of", func() { note(hooks.Of(ctx, h.Owner)) }},
		{"Update", func() { note(hooks.Update(ctx, h.ID, func(h *hook.Hook) error { return h.Wake(now) })) }},
		{"Due", func() { note(hooks.Due(ctx, now, 10)) }},
		{"Remove", func() { note(nil, hooks.Remove(ctx, h.ID)) }},
	})
	wantPlans(t, map[string]string{
		"Insert": "", "Get": "find by _id", "Of": "find by owner,slot", "Update": "find by _id | update by _id; version",
		"Due": "find by next_at", "Remove": "delete by _id",
	}, got)

	tap, client = tapped(t, "deliveries")
	deliveries := newDeliveries(client)
	got = tap.plans(deliveriesIndexes(), []call{
		{"Insert", func() { note(nil, deliveries.Insert(ctx, d)) }},
		{"Get", func() { note(deliveries.Get(ctx, d.ID)) }},
		{"Update", func() { note(deliveries.Update(ctx, d.ID, func(d *hook.Delivery) error { return d.Replay(now) })) }},
		{"List", func() { note(deliveries.List(ctx, h.ID, "", 10)) }},
		{"List, next page", func() { note(deliveries.List(ctx, h.ID, d.ID, 10)) }},
		{"Due", func() { note(deliveries.Due(ctx, h.ID, now, 10)) }},
		{"Forget", func() { note(deliveries.Forget(ctx, now)) }},
		{"Clear", func() { note(nil, deliveries.Clear(ctx, h.ID)) }},
	})
	wantPlans(t, map[string]string{
		"Insert": "", "Get": "find by _id", "Update": "find by _id | update by _id; version",
		"List": "find by hook,_id", "List, next page": "find by hook,_id", "Due": "find by hook,due_at",
		"Forget": "delete by changed; state", "Clear": "delete by hook,_id",
	}, got)
}

// tapped returns a client with databases of its own, of which the questions that are asked of a collection are noted.
func tapped(t *testing.T, collection string) (*wiretap, *Client) {
	t.Helper()
	c, tap := open(t), &wiretap{of: collection}
	pool, err := mongo.Connect(options.Client().ApplyURI(testserver.MongoDB(t)).SetMonitor(tap.monitor()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Disconnect(context.WithoutCancel(t.Context())) })
	return tap, &Client{mongo: pool, prefix: c.prefix, timeout: commandTimeout}
}

// call is one of the methods of a store.
type call struct {
	name string
	do   func()
}

// plans says how each of the calls is answered.
func (w *wiretap) plans(indexes []mongo.IndexModel, calls []call) map[string]string {
	got := map[string]string{}
	for _, call := range calls {
		w.mu.Lock()
		w.questions = nil
		w.mu.Unlock()
		call.do()
		w.mu.Lock()
		var plans []string
		for _, q := range w.questions {
			for _, filter := range q.branches() {
				plans = append(plans, q.verb+" by "+q.plan(filter, indexFields(indexes)))
			}
		}
		w.mu.Unlock()
		got[call.name] = strings.Join(plans, " | ")
	}
	return got
}

func wantPlans(t *testing.T, want, got map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if strings.Contains(got[name], "scan") {
			t.Errorf("%s scans everything", name)
		}
	}
}

// The rules themselves, on questions that need no server.
func TestAnIndexServesWhatItBoundsAndOrders(t *testing.T) {
	indexes := [][]string{{"_id"}, {"owner", "_id"}, {"at"}}
	some, below := bson.D{{Key: "owner", Value: "a"}}, bson.E{Key: "at", Value: bson.D{{Key: "$lte", Value: 1}}}
	newest := bson.D{{Key: "_id", Value: -1}}
	for name, tt := range map[string]struct {
		q    question
		want string
	}{
		"equality, then order":         {question{filter: some, sort: newest}, "owner,_id"},
		"a range in its own order":     {question{filter: bson.D{below}, sort: bson.D{{Key: "at", Value: 1}}}, "at"},
		"a range in another order":     {question{filter: bson.D{below}, sort: newest, limit: 1}, "scan"},
		"a field of no index":          {question{filter: bson.D{{Key: "name", Value: "x"}}}, "scan"},
		"the second field of an index": {question{filter: bson.D{{Key: "state", Value: "x"}}, sort: newest, limit: 5}, "scan"},
		"everything":                   {question{}, "scan"},
		"the first of everything":      {question{sort: newest, limit: 5}, "_id"},
		"all of everything, in order":  {question{sort: newest}, "scan"},
		"what is left over":            {question{filter: append(slices.Clone(some), below)}, "owner,_id; at"},
		"what must not be":             {question{filter: bson.D{{Key: "at", Value: bson.D{{Key: "$nin", Value: bson.A{1}}}}}}, "scan"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tt.q.plan(tt.q.filter, indexes); got != tt.want {
				t.Errorf("plan of %v is %q, want %q", fmt.Sprint(tt.q), got, tt.want)
			}
		})
	}
}
