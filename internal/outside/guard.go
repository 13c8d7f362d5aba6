// Package outside sends requests to addresses that strangers have chosen, and to none that only we can reach. What is sent,
// and what an answer means, is its callers' affair.
//
// What counts is the address that is dialled, after every name is looked up: a name that meant something else a moment ago
// gains nothing. Redirects are not followed, proxies of the environment not used, connections not kept.
package outside

import (
	"errors"
	"net/netip"
	"slices"
	"syscall"
)

// errRefused is why a dial is refused. It says no more: what there is inside is nobody's business outside.
var errRefused = errors.New("the address is not public")

// errPlace is why a dial of a public address is refused: what is wrong is the scheme or the port.
var errPlace = errors.New("a public address is called with TLS on port 443 only")

// httpsPort is the only one on which anybody is called whom the operators have not named.
const httpsPort = 443

// v6 is where public addresses of IPv6 are. Local, mapped and translated ones are elsewhere.
var v6 = netip.MustParsePrefix("2000::/3")

// special are the blocks of IANA's registries of special-purpose addresses that are not, or need not be, reachable for
// everybody, as far as v6 lets them in.
var special = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
	"192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24",
	"203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20", // among them Teredo and 6to4, which hold an IPv4 address
)

func prefixes(all ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(all))
	for i, p := range all {
		list[i] = netip.MustParsePrefix(p)
	}
	return list
}

// guard says who may be called.
type guard struct{ allow []netip.Prefix }

// allows reports whether the operators have named the address.
func (g guard) allows(addr netip.Addr) bool { return contains(g.allow, addr.Unmap()) }

func contains(in []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(in, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// isPublic reports whether everybody can reach the address. One with a zone, or of IPv4 in the clothes of IPv6, is none.
func isPublic(addr netip.Addr) bool {
	return (addr.Is4() || v6.Contains(addr)) && !contains(special, addr)
}

// control is a net.Dialer's: it is asked for each address that is about to be dialled.
func (g guard) control(secure bool) func(network, address string, _ syscall.RawConn) error {
	return func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		switch {
		case err == nil && g.lets(to, secure):
			return nil
		case err == nil && isPublic(to.Addr()):
			return errPlace
		default:
			return errRefused
		}
	}
}

// lets reports whether a connection to the address may be made; secure, if it is for TLS.
func (g guard) lets(to netip.AddrPort, secure bool) bool {
	return g.allows(to.Addr()) || secure && to.Port() == httpsPort && isPublic(to.Addr())
}
