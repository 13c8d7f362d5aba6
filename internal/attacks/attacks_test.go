package attacks

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
)

// row is an attack.
type row struct {
	number   int // in the list of attacks
	attack   string
	expected string // with the reason where the list has it otherwise
	slow     bool   // only with -full
	refuses  bool   // about refusing load: 503 is right
	alone    bool   // disturbs other rows
	try      func(p *probe)
	// elsewhere names the tests that show it, as "internal/ffmpeg TestMutants", where there is nothing to send to the suite.
	elsewhere []string
}

// families are the rows by what is attacked.
var families = map[string][]row{
	"tokens": tokens, "login": logins, "objects": objects, "http": requests, "multipart": forms,
	"sessions": sessions, "media": media, "mail": mails, "links": links, "webhooks": webhooks, "operators": operators, "responses": responses, "platform": platform,
}

// listed are the numbers of the list of attacks.
var listed = slices.Concat(
	span(1, 13), span(15, 30), span(32, 41), span(43, 50), []int{52, 53, 54, 56}, span(58, 62), span(64, 70),
	span(71, 74), // not the list's: of sessions, which it does not know
	span(75, 79), // nor these: of webhooks
	span(80, 82), // nor these: of links in mails
	span(83, 85), // nor these: of operators
)

func span(first, last int) (numbers []int) {
	for n := first; n <= last; n++ {
		numbers = append(numbers, n)
	}
	return numbers
}

func TestEveryAttackOfTheListHasARow(t *testing.T) {
	there := map[int]bool{}
	for _, rows := range families {
		for _, r := range rows {
			there[r.number] = true
			if (r.try == nil) == (r.elsewhere == nil) || r.attack == "" || r.expected == "" {
				t.Errorf("row %d is not complete", r.number)
			}
		}
	}
	for _, n := range listed {
		if !there[n] {
			t.Errorf("nobody tries %d", n)
		}
		delete(there, n)
	}
	if len(there) > 0 {
		t.Errorf("rows of no number of the list: %v", there)
	}
}

// atOnce is how many rows are tried at the same time: most of them wait for the suite.
const atOnce = 8

func TestAttacks(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	var report report
	t.Cleanup(func() { report.write(t) })
	var all sync.WaitGroup
	var last []func()
	places := make(chan struct{}, atOnce)
	for family, rows := range families {
		for _, r := range rows {
			if r.slow && !*full {
				report.add(family, r, "only with -full")
				continue
			}
			tell := func() {
				t.Run(fmt.Sprintf("%02d_%s", r.number, r.attack), func(t *testing.T) {
					p := g.probe(t, r)
					defer func() { report.add(family, r, p.summary()) }()
					if r.try == nil {
						p.lookElsewhere()
						return
					}
					r.try(p)
					p.hasHarmedNobody()
				})
			}
			if r.alone {
				last = append(last, tell)
				continue
			}
			all.Go(func() {
				places <- struct{}{}
				defer func() { <-places }()
				tell()
			})
		}
	}
	all.Wait()
	for _, tell := range last {
		tell()
	}
	g.asBefore(t)
}

// lookElsewhere fails the row if a test that it names is not there.
func (p *probe) lookElsewhere() {
	for _, place := range p.row.elsewhere {
		folder, test, _ := strings.Cut(place, " ")
		files, err := os.ReadDir("../../" + folder)
		if err != nil {
			p.Error(err)
		}
		there := slices.ContainsFunc(files, func(f os.DirEntry) bool {
			text, _ := os.ReadFile("../../" + folder + "/" + f.Name())
			return strings.Contains(string(text), "func "+test+"(t ")
		})
		if !there {
			p.Errorf("%s has no %s", folder, test)
		}
		p.see("see " + place)
	}
}

// report is the table of what was seen.
type report struct {
	mu   sync.Mutex
	rows [][]string
}

func (r *report) add(family string, row row, seen string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows = append(r.rows, []string{strconv.Itoa(row.number), family, row.attack, row.expected, seen})
}

func (r *report) write(t *testing.T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.SortFunc(r.rows, func(a, b []string) int {
		x, _ := strconv.Atoi(a[0])
		y, _ := strconv.Atoi(b[0])
		if x != y {
			return x - y
		}
		return slices.Compare(a, b)
	})
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "row\tof\tattack\texpected\tseen")
	for _, row := range r.rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	_ = w.Flush() // a strings.Builder takes everything
	t.Logf("attacks:\n%s", &text)
	if *table != "" {
		if err := os.WriteFile(*table, []byte(text.String()), 0o600); err != nil {
			t.Error(err)
		}
	}
}
