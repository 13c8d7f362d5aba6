package testsuite

import (
	"net/url"
	"testing"

	"mp3converter/internal/testserver"
)

// Doors are between the services and the servers of one suite.
type Doors struct{ MySQL, Rabbit, MongoDB *Door }

// BehindDoors prepares services whose servers are out of reach.
func BehindDoors(t *testing.T) (*Services, Doors) {
	t.Helper()
	ferret := NewMongoDB(t)
	database := testserver.MySQL(t)
	broker, err := url.Parse(NewVhost(t))
	if err != nil {
		t.Fatal(err)
	}
	d := Doors{MySQL: NewDoor(t, database.Addr), Rabbit: NewDoor(t, broker.Host), MongoDB: NewDoor(t, ferret.Addr)}
	direct := broker.String()
	broker.Host = d.Rabbit.Addr
	s := NewServices(t, Servers{
		MySQL: d.MySQL.Addr, Rabbit: broker.String(), MongoDB: "mongodb://" + d.MongoDB.Addr + "/?directConnection=true", SMTP: MailServer(t),
	})
	s.Broker = direct
	s.Users = UserTable(t, database.Addr)
	return s, d
}
