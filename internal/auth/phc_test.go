package auth

import (
	"strings"
	"testing"
)

// sid123 is the password's hash in init.sql.
const sid123 = "$argon2id$v=19$m=19456,t=2,p=1$bXAzY29udmVydGVyLXNpZA$ohtT9gt0vU/OyaBOsT2jyWIuzdCONSCBRUDQ5GTUU1c"

func TestAHashFitsItsPasswordOnly(t *testing.T) {
	h := newHasher(0)
	for _, password := range []string{"sid123", "", "p\x00q", strings.Repeat("long ", 100), "naïve", "nai\u0308ve"} {
		stored := Hash(password)
		if len(stored) > 255 {
			t.Errorf("the hash of %.20q has %d bytes; the column has 255", password, len(stored))
		}
		p, err := parsePHC(stored)
		if err != nil {
			t.Fatal(err)
		}
		if !h.fits(password, p) {
			t.Errorf("%.20q does not fit its own hash", password)
		}
		for _, other := range []string{"p", "na\u00efve ", password + "\x00"} {
			if h.fits(other, p) {
				t.Errorf("%.20q fits the hash of %.20q", other, password)
			}
		}
	}
}

func TestEachHashHasASaltOfItsOwn(t *testing.T) {
	if a, b := Hash("same"), Hash("same"); a == b {
		t.Errorf("two hashes of one password are equal: %s", a)
	}
}

func TestTheHashOfInitSQLIsSidsPassword(t *testing.T) {
	p, err := parsePHC(sid123)
	if err != nil || !newHasher(0).fits("sid123", p) || p.weaker(cost) {
		t.Errorf("%s: %v, or not the hash of sid123 at today's cost", sid123, err)
	}
}

func TestAStoredHashIsParsedStrictlyAndWithinBounds(t *testing.T) {
	for name, alter := range map[string][2]string{
		"too much memory":             {"m=19456", "m=65537"},
		"memory of 4 TiB":             {"m=19456", "m=4294967295"},
		"memory beyond 32 bits":       {"m=19456", "m=4294967296"},
		"too little memory":           {"m=19456", "m=7"},
		"no memory":                   {"m=19456", "m=0"},
		"no pass":                     {"t=2", "t=0"},
		"too many passes":             {"t=2", "t=11"},
		"no thread":                   {"p=1", "p=0"},
		"too many threads":            {"p=1", "p=9"},
		"threads beyond 8 bits":       {"p=1", "p=257"},
		"a negative number":           {"t=2", "t=-2"},
		"a sign":                      {"t=2", "t=+2"},
		"a leading zero":              {"t=2", "t=02"},
		"a space":                     {"t=2", "t= 2"},
		"a hexadecimal number":        {"t=2", "t=0x2"},
		"parameters in another order": {"m=19456,t=2", "t=2,m=19456"},
		"one parameter more":          {"p=1", "p=1,x=1"},
		"another version":             {"v=19", "v=16"},
		"Argon2i":                     {"argon2id", "argon2i"},
		"a short salt":                {"bXAzY29udmVydGVyLXNpZA", "c2FsdA"},
		"no salt":                     {"bXAzY29udmVydGVyLXNpZA", ""},
		"a long salt":                 {"bXAzY29udmVydGVyLXNpZA", strings.Repeat("AAAA", 22)},
		"a short hash":                {"ohtT9gt0vU/OyaBOsT2jyWIuzdCONSCBRUDQ5GTUU1c", "aGFzaA"},
		"no hash":                     {"ohtT9gt0vU/OyaBOsT2jyWIuzdCONSCBRUDQ5GTUU1c", ""},
		"a long hash":                 {"ohtT9gt0vU/OyaBOsT2jyWIuzdCONSCBRUDQ5GTUU1c", strings.Repeat("AAAA", 22)},
		"padding":                     {"UU1c", "UU1c="},
		"another alphabet":            {"vU/O", "vU_O"},
		"a line end in the hash":      {"UU1c", "UU\n1c"},
		"bits that do not count":      {"LXNpZA", "LXNpZB"},
		"one part more":               {"UU1c", "UU1c$"},
	} {
		t.Run(name, func(t *testing.T) {
			s := strings.Replace(sid123, alter[0], alter[1], 1)
			if s == sid123 {
				t.Fatalf("nothing to replace: %q", alter[0])
			}
			if p, err := parsePHC(s); err == nil {
				t.Errorf("parsePHC(%s) = %+v, want an error", s, p)
			}
		})
	}
}

func FuzzParsePHC(f *testing.F) {
	f.Add(sid123)
	f.Add("$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA")
	f.Add("$argon2id$v=19$m=4294967295,t=1,p=1$$")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePHC(s)
		if err == nil && (!p.bounded() || p.String() != s) {
			t.Errorf("parsePHC(%q) = %+v, beyond bounds or not what was stored", s, p)
		}
	})
}
