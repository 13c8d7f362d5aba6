package embedded

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestQuestionsAreAnsweredFromAnIndex(t *testing.T) {
	db, err := OpenDB(filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for name, tt := range map[string]struct {
		query string
		args  []any
		want  []string
	}{
		"a job":               {getQuery, []any{"a"}, []string{"INDEX sqlite_autoindex_jobs_1"}},
		"a key's job":         {keyQuery, []any{"a"}, []string{"INDEX sqlite_autoindex_jobs_2"}},
		"a step":              {updateStatement, []any{"a", 2, "b", "c", true, nil, nil, nil, "queued", 1, nil, 1, "{}"}, []string{"INDEX sqlite_autoindex_jobs_1"}},
		"an end":              {removeStatement, []any{"a"}, []string{"INDEX sqlite_autoindex_jobs_1"}},
		"what is due":         {dueQuery, []any{1, 1}, []string{"INDEX jobs_ring", "INDEX jobs_clean"}},
		"an owner's jobs":     {listQuery, []any{"a", "b", 1}, []string{"INDEX jobs_owner (owner=? AND id<?)"}},
		"an mp3's job":        {mp3Query, []any{"a", "b"}, []string{"INDEX jobs_mp3"}},
		"jobs in a state":     {countQuery, []any{"queued"}, []string{"COVERING INDEX jobs_state"}},
		"a state's jobs":      {inStateQuery, []any{"queued", "b", 1}, []string{"INDEX jobs_state (state=? AND id<?)"}},
		"a state's oldest":    {oldestInQuery, []any{"queued", 1}, []string{"INDEX jobs_state (state=?)"}},
		"the oldest":          {oldestQuery, nil, []string{"COVERING INDEX jobs_since"}},
		"jobs without dates":  {undatedQuery, []any{1}, []string{"INDEX jobs_undated"}},
		"unfinished jobs":     {unfinishedQuery, nil, []string{"INDEX jobs_ring", "INDEX jobs_tell", "INDEX jobs_state"}},
		"an mp3's jobs":       {allMP3Query, []any{"a"}, []string{"INDEX jobs_mp3"}},
		"what is untold":      {untoldQuery, []any{1, 1}, []string{"INDEX jobs_tell"}},
		"a hook":              {hookQuery, []any{"a"}, []string{"INDEX sqlite_autoindex_hooks_1"}},
		"a hook's step":       {hookStatement, []any{"a", 2, "b", 1, nil, "{}"}, []string{"INDEX sqlite_autoindex_hooks_1"}},
		"a hook's end":        {hookRemove, []any{"a"}, []string{"INDEX sqlite_autoindex_hooks_1"}},
		"an owner's hooks":    {hooksOfQuery, []any{"a"}, []string{"INDEX sqlite_autoindex_hooks_2"}},
		"due hooks":           {hooksDueQuery, []any{1, 1}, []string{"INDEX hooks_next"}},
		"a delivery":          {deliveryQuery, []any{"a"}, []string{"INDEX sqlite_autoindex_deliveries_1"}},
		"a delivery's step":   {deliveryStatement, []any{"a", 2, "b", nil, 1, "{}"}, []string{"INDEX sqlite_autoindex_deliveries_1"}},
		"a hook's deliveries": {deliveriesQuery, []any{"a", "b", 1}, []string{"INDEX deliveries_hook (hook=? AND id<?)"}},
		"due deliveries":      {deliveriesDueQuery, []any{"a", 1, 1}, []string{"INDEX deliveries_due (hook=? AND due_at<?)"}},
		"all of a hook":       {deliveriesClear, []any{"a"}, []string{"INDEX deliveries_"}},
		"old deliveries":      {deliveriesForget, []any{1}, []string{"INDEX deliveries_changed"}},
		"a page of users":     {usersQuery, []any{"a", 1}, []string{"PRIMARY KEY (email>?)"}},
		"some of them":        {findQuery, []any{"a", "b", 1, " done ", "best", "a"}, []string{"INDEX jobs_owner (owner=? AND id<?)"}},
		"an owner's changes":  {changesQuery, []any{"a", 1, 1}, []string{"INDEX jobs_changed (owner=? AND changed>?)"}},
		"what an owner takes": {usageQuery, []any{"a"}, []string{"COVERING INDEX jobs_usage"}},
	} {
		t.Run(name, func(t *testing.T) {
			plan := explain(t, db, tt.query, tt.args)
			if strings.Contains(plan, "TEMP B-TREE") && tt.query != dueQuery { // that one orders what it has found, a page
				t.Errorf("what is found is sorted:\n%s", plan)
			}
			for _, index := range tt.want {
				if !strings.Contains(plan, "USING "+index) {
					t.Errorf("%s is not used:\n%s", index, plan)
				}
			}
			if strings.Contains(plan, "SCAN ") && tt.query != dueQuery && tt.query != oldestQuery { // the first reads what it has found
				t.Errorf("the table is scanned:\n%s", plan)
			}
		})
	}
}

func explain(t *testing.T, db *DB, query string, args []any) string {
	t.Helper()
	rows, err := db.read.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	steps, err := collect(rows, func(scan func(...any) error) (step string, err error) {
		var id, parent, unused int
		err = scan(&id, &parent, &unused, &step)
		return step, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(steps, "\n")
}

func TestEveryConnectionIsDurableAndWaits(t *testing.T) {
	db, err := OpenDB(filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const full = "2"
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": full, "busy_timeout": "5000"} {
		var got string
		if err := db.write.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s of the writer is %s (%v), want %s", pragma, got, err, want)
		}
	}
	if _, err := db.read.ExecContext(t.Context(), "DELETE FROM jobs"); err == nil {
		t.Error("a reader may write")
	}
}
