package rights

import (
	"database/sql"
	"errors"
	"slices"
	"testing"

	"github.com/go-sql-driver/mysql"

	"mp3converter/internal/testserver"
)

// asAuth logs in as auth does.
func asAuth(t *testing.T, database string) *sql.DB {
	t.Helper()
	_, environment := shipped(t)
	env := environment("auth")
	config := mysql.NewConfig()
	config.User, config.Passwd, config.DBName = env["MYSQL_USER"], env["MYSQL_PASSWORD"], database
	config.Net, config.Addr = "tcp", testserver.MySQL(t).Addr
	db, err := sql.Open("mysql", config.FormatDSN())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// denied are the numbers of the server's refusals: of a database, a table, a privilege, or a user's own password.
var denied = []uint16{1044, 1045, 1142, 1143, 1227, 1290, 1370, 1698}

// That it may do what it needs, internal/mysql and the whole suite show.
func TestAtMySQLAuthMayDoNothingElse(t *testing.T) {
	server := testserver.MySQL(t)
	if _, err := server.SQL("CREATE DATABASE IF NOT EXISTS others; CREATE TABLE IF NOT EXISTS others.t (a INT); CREATE TABLE IF NOT EXISTS auth.others (a INT)"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = server.SQL("DROP DATABASE others; DROP TABLE auth.others") })
	db := asAuth(t, "auth")
	if err := db.PingContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	for what, statement := range map[string]string{
		"read another table":            "SELECT * FROM auth.others",
		"read another database":         "SELECT * FROM others.t",
		"write to another database":     "INSERT INTO others.t VALUES (1)",
		"read the server's users":       "SELECT * FROM mysql.user",
		"read the server's passwords":   "SELECT * FROM mysql.global_priv",
		"alter its table":               "ALTER TABLE auth.user ADD COLUMN x INT",
		"drop its table":                "DROP TABLE auth.user",
		"empty its table":               "TRUNCATE TABLE auth.user",
		"add an index":                  "CREATE INDEX x ON auth.user (admin)",
		"make a table":                  "CREATE TABLE auth.x (a INT)",
		"make a temporary table":        "CREATE TEMPORARY TABLE auth.x (a INT)",
		"make a view":                   "CREATE VIEW auth.x AS SELECT * FROM auth.user",
		"make a trigger":                "CREATE TRIGGER auth.x BEFORE INSERT ON auth.user FOR EACH ROW SET NEW.admin = 1",
		"make a procedure":              "CREATE PROCEDURE auth.x() SELECT 1",
		"make an event":                 "CREATE EVENT auth.x ON SCHEDULE EVERY 1 DAY DO SELECT 1",
		"lock others out of its table":  "LOCK TABLES auth.user WRITE",
		"make a database":               "CREATE DATABASE x",
		"drop its database":             "DROP DATABASE auth",
		"make a user":                   "CREATE USER x IDENTIFIED BY 'x'",
		"pass on a right":               "GRANT SELECT ON auth.user TO root@localhost",
		"give itself a right":           "GRANT ALL ON *.* TO auth_user@'%'",
		"change another's password":     "ALTER USER root@localhost IDENTIFIED BY 'x'",
		"read a file of the server's":   "SELECT LOAD_FILE('/etc/passwd') IS NOT NULL FROM auth.user INTO OUTFILE '/tmp/x'",
		"write a file of the server's":  "SELECT email FROM auth.user INTO OUTFILE '/tmp/mp3converter-rights'",
		"load a file of the server's":   "LOAD DATA INFILE '/etc/passwd' INTO TABLE auth.user (email)",
		"change how the server works":   "SET GLOBAL general_log = 'ON'",
		"stop the server":               "SHUTDOWN",
		"load a library":                "INSTALL PLUGIN x SONAME 'x.so'",
		"become a replica of somebody":  "CHANGE MASTER TO MASTER_HOST = 'x'",
		"see who may what on the whole": "SHOW GRANTS FOR root@localhost",
	} {
		_, err := db.ExecContext(t.Context(), statement)
		refused, ok := errors.AsType[*mysql.MySQLError](err)
		if !ok || !slices.Contains(denied, refused.Number) {
			t.Errorf("to %s is answered %v", what, err)
		}
	}
	if err := asAuth(t, "mysql").PingContext(t.Context()); err == nil {
		t.Error("it is let into the database mysql")
	}
}
