package attacks

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"mp3converter/internal/link"
	"mp3converter/internal/testsuite"
)

const notALink = "403 this link is not valid: copy all of it from the mail, or log in"

// linkTo is a link of the suite's own, as in a mail.
func (p *probe) linkTo(fid, owner string, good time.Duration) string {
	p.Helper()
	k, err := link.NewKey(testsuite.LinkSecret)
	if err != nil {
		p.Fatal(err)
	}
	return k.Query(fid, owner, time.Now().Add(good))
}

var links = []row{
	{number: 80, attack: "a mail's link with another fid, end, owner, encoding, or halves of two", expected: "403, and nobody is asked", try: func(p *probe) {
		fid, other := *p.done.MP3, strings.Repeat("ab", 12)
		good := p.linkTo(fid, p.victim.Email, time.Hour)
		_, got := p.send(testsuite.Request{Method: http.MethodHead, Path: "/download?" + good})
		p.is("as it was sent", got, "200")

		q, err := url.ParseQuery(good)
		if err != nil {
			p.Fatal(err)
		}
		end, signature := q.Get(link.Expires), q.Get(link.Signature)
		forMe := p.linkTo(fid, p.me.Email, time.Hour)
		mine, ofOther := forMe[strings.LastIndexByte(forMe, '=')+1:], p.linkTo(other, p.victim.Email, time.Hour)
		ofOther = ofOther[strings.LastIndexByte(ofOther, '=')+1:]
		raw, err := base64.RawURLEncoding.DecodeString(signature)
		if err != nil {
			p.Fatal(err)
		}
		seconds, _ := strconv.ParseInt(end, 10, 64)
		altered := func(fid, end, signature string) string {
			return url.Values{link.FID: {fid}, link.Expires: {end}, link.Signature: {signature}}.Encode()
		}
		for variant, query := range map[string]string{
			"another fid":               altered(other, end, signature),
			"the video's id":            altered(p.done.ID, end, signature),
			"a later end":               altered(fid, strconv.FormatInt(seconds+1, 10), signature),
			"the end in another form":   altered(fid, "0"+end, signature),
			"the end as a float":        altered(fid, end+".0", signature),
			"an end of always":          altered(fid, "9223372036854775807", signature),
			"another's mark":            altered(fid, end, mine[:22]+signature[22:]),
			"halves of two":             altered(fid, end, signature[:32]+ofOther[32:]),
			"a whole other":             altered(fid, end, ofOther),
			"padded":                    altered(fid, end, base64.URLEncoding.EncodeToString(raw)+"="),
			"in hex":                    altered(fid, end, strings.ToLower(url.QueryEscape(string(raw)))),
			"with a line end":           altered(fid, end, signature[:8]+"\n"+signature[8:]),
			"in capitals":               altered(fid, end, strings.ToUpper(signature)),
			"cut":                       altered(fid, end, signature[:len(signature)-1]),
			"empty":                     altered(fid, end, ""),
			"twice":                     good + "&" + link.Signature + "=" + signature,
			"two fids":                  good + "&" + link.FID + "=" + other,
			"as an array":               strings.Replace(good, "fid=", "fid[]=", 1),
			"of 3 KB":                   altered(fid, end, strings.Repeat(signature, 48)),
			"without an end":            link.FID + "=" + fid + "&" + link.Signature + "=" + signature,
			"with the end in the fid":   altered(fid+"\n"+end, "", signature),
			"all that, but an operator": `fid={"$ne":null}&expires=` + end + "&signature=" + signature,
		} {
			_, got := p.send(testsuite.Request{Path: "/download?" + strings.ReplaceAll(query, `"`, "%22")})
			p.is(variant, got, notALink)
		}
	}},
	{number: 81, attack: "a mail's link that has ended, for somebody who has no such MP3, or beside another's token", expected: "410, 404, 404", try: func(p *probe) {
		fid := *p.done.MP3
		_, got := p.send(testsuite.Request{Path: "/download?" + p.linkTo(fid, p.victim.Email, -time.Second)})
		p.is("ended", got, "410 this link has expired: log in to download the MP3")
		_, got = p.send(testsuite.Request{Path: "/download?" + p.linkTo(fid, p.me.Email, time.Hour)})
		p.is("not the owner's", got, "404 no such file")
		_, got = p.mine(testsuite.Request{Path: "/download?" + p.linkTo(fid, p.victim.Email, time.Hour)})
		p.is("with another's token", got, "404 no such file")
		for _, path := range []string{"/jobs", "/jobs/" + p.done.ID} {
			_, got = p.send(testsuite.Request{Path: path + "?" + p.linkTo(fid, p.victim.Email, time.Hour)})
			p.is(path, got, "401 missing credentials")
		}
	}},
	{number: 82, attack: "a mail's link after its job was deleted, after its secret was replaced; by timing; in a log", expected: "404, 403, hmac.Equal, none", elsewhere: []string{
		"internal/gateway TestWhatALinkIsNot", "internal/link TestASecretIsReplacedWithoutEndingLinks", "internal/gateway TestALinkIsInNoLog",
		"internal/gateway TestNobodyIsAskedAboutAForgedLink",
	}},
}
