package outside

import (
	"cmp"
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

// maxURL bounds a URL in bytes.
const maxURL = 2000

// CheckURL says, for whoever has chosen it, what is wrong with a URL, as far as it can be told without looking up its host:
// what a name means is judged when it is called.
func (c *Client) CheckURL(raw string) error {
	if len(raw) > maxURL {
		return errors.New("url must have at most " + strconv.Itoa(maxURL) + " bytes")
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil, u.Host == "", u.Opaque != "", u.Hostname() == "", strings.ContainsFunc(raw, isOdd):
		return errors.New("url must be a whole address, as https://example.com/path")
	case u.User != nil:
		return errors.New("url must be without user and password")
	case u.Fragment != "":
		return errors.New("url must be without #")
	case u.Scheme != "https" && u.Scheme != "http":
		return errors.New("url must begin with https://")
	}
	return c.checkPlace(u)
}

// isOdd is for what no URL is written with. Letters beyond ASCII are: of names they are not looked up.
func isOdd(r rune) bool {
	return r <= ' ' || r > unicode.MaxASCII || r == unicode.MaxASCII || r == '\\'
}

// checkPlace is about scheme, host and port.
func (c *Client) checkPlace(u *url.URL) error {
	secure := u.Scheme == "https"
	port, err := strconv.ParseUint(cmp.Or(u.Port(), map[bool]string{true: "443", false: "80"}[secure]), 10, 16)
	if err != nil || port == 0 {
		return errors.New("url must have a port from 1 to 65535, or none")
	}
	addr, err := netip.ParseAddr(u.Hostname())
	switch {
	case err == nil && c.guard.lets(netip.AddrPortFrom(addr, uint16(port)), secure):
		return nil
	case err == nil && secure && port == httpsPort:
		return errors.New("url must lead to a public address")
	case err != nil && len(c.guard.allow) > 0: // a name may lead where the operators allow it
		return nil
	case !secure:
		return errors.New("url must begin with https://")
	case port != httpsPort:
		return errors.New("url must have port 443, or none")
	}
	return nil
}
