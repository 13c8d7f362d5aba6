package web

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Behind has handlers see the client where a proxy stands between: of a request that comes from a trusted network,
// RemoteAddr becomes the address, without a port, that X-Forwarded-For names for it. Each proxy adds at the end whom it has
// heard, so the last that is no trusted proxy is the client; what stands before it anybody can write. Anybody else's header
// is ignored. Whether the client came by TLS, X-Forwarded-Proto says on the same terms: see ByTLS.
func Behind(trusted []netip.Prefix) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if came := Client(r); isTrusted(trusted, came) {
				r = r.WithContext(context.WithValue(r.Context(), schemeKey{}, lastOf(r.Header.Values("X-Forwarded-Proto")))) // a copy
				r.RemoteAddr = forwarded(trusted, came, r.Header.Values("X-Forwarded-For")).String()
			}
			next.ServeHTTP(w, r)
		})
	}
}

// Client is the address that a request came from, as far as Behind knows; the zero Addr if there is none.
func Client(r *http.Request) netip.Addr { return parseAddr(r.RemoteAddr) }

type schemeKey struct{}

// ByTLS reports whether the client speaks TLS: with us or, as far as Behind knows, with the proxy in front of us.
func ByTLS(r *http.Request) bool {
	scheme, _ := r.Context().Value(schemeKey{}).(string)
	return r.TLS != nil || strings.EqualFold(scheme, "https")
}

// lastOf is the last value of a list, which is the nearest proxy's own.
func lastOf(headers []string) string {
	list := strings.Join(headers, ",")
	return strings.TrimSpace(list[strings.LastIndexByte(list, ',')+1:])
}

// parseAddr takes an address with or without a port.
func parseAddr(s string) netip.Addr {
	addr, err := netip.ParseAddr(s)
	if err != nil {
		with, _ := netip.ParseAddrPort(s) // else zero
		addr = with.Addr()
	}
	return addr.Unmap().WithZone("")
}

func isTrusted(trusted []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// forwarded goes back from the connection's address as far as it is trusted.
func forwarded(trusted []netip.Prefix, client netip.Addr, headers []string) netip.Addr {
	for _, hop := range slices.Backward(strings.Split(strings.Join(headers, ","), ",")) {
		addr := parseAddr(strings.TrimSpace(hop))
		if !addr.IsValid() {
			break // whoever wrote this, we know nobody before them
		}
		client = addr
		if !isTrusted(trusted, addr) {
			break
		}
	}
	return client
}
