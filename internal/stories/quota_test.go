package stories

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"testing"

	"mp3converter/internal/testserver"
	"mp3converter/internal/testsuite"
)

// Twenty uploads at once to two gateways, with room for seven: the ledger alone holds them to the quota.
func TestAQuotaHoldsOfTwoGateways(t *testing.T) {
	t.Parallel()
	const rivals, each, fits = 20, 50_000, 7
	s := testsuite.NewServices(t, testsuite.Servers{MySQL: testserver.MySQL(t).Addr, Rabbit: testsuite.NewVhost(t), MongoDB: testsuite.NewMongoDB(t).URI()})
	s.Users = testsuite.UserTable(t, s.At.MySQL)
	s.StartAuth()
	quota := "QUOTA_BYTES=" + strconv.Itoa(fits*each+each/2)
	s.StartGateway(quota)
	first := s.URL
	s.StartGateway(quota)
	p := s.Someone(t)
	video := bytes.Repeat([]byte("v"), each)
	request := func(base string) testsuite.Request {
		r := p.Posting(t, "/upload", nil, testsuite.FilePart("file", "a.mp4", video))
		r.Base = base
		return r
	}
	var uploads []testsuite.Request
	for i := range rivals {
		uploads = append(uploads, request([]string{first, s.URL}[i%2]))
	}
	taken := 0
	for _, a := range testsuite.AtOnce(t, uploads...) {
		switch a.Status {
		case http.StatusOK:
			taken++
		case http.StatusRequestEntityTooLarge:
		default:
			t.Errorf("an upload at the edge of the quota is answered with %d %q", a.Status, a.Body)
		}
	}
	atOnce := taken
	for taken <= fits && testsuite.Send(t, request(first)).Status == http.StatusOK { // who stepped back for others finds room now
		taken++
	}
	var page struct{ Jobs []testsuite.JobView }
	if err := json.Unmarshal([]byte(p.Get(t, "/jobs").Body), &page); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d of %d at once were taken", atOnce, rivals)
	if taken != fits || len(page.Jobs) != fits {
		t.Errorf("%d uploads were taken, %d of them at once, and %d jobs are there: the quota has room for %d", taken, atOnce, len(page.Jobs), fits)
	}
}
